"""Rules about Redis and MongoDB."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra.config.errors import Problem
from infra.config.rules.registry import rule
from infra.config.secrets import how_to_set

if TYPE_CHECKING:
    from infra.config.stack import StackConfig

_FEWEST_SENTINELS = 3
_WORLD = ("0.0.0.0/0", "::/0")


@rule("redis")
def sentinels_can_agree(config: "StackConfig") -> Iterator[Problem]:
    redis = config.redis
    if redis.mode != "sentinel":
        return
    if redis.replicas < _FEWEST_SENTINELS:
        remedy = "use 3 or more, or mode standalone"
        yield Problem("redis.replicas", f"{redis.replicas} leaves no majority of sentinels once one is lost; {remedy}")
    if redis.quorum > redis.replicas:
        yield Problem(
            "redis.quorum", f"{redis.quorum} of {redis.replicas} sentinels can never agree; use 1 to {redis.replicas}"
        )


@rule("redis")
def sentinel_runs_in_statefulsets(config: "StackConfig") -> Iterator[Problem]:
    if config.redis.mode == "sentinel" and config.redis.workload == "deployment":
        yield Problem(
            "redis.workload", "'deployment' gives pods no stable names, which sentinels need; use statefulset"
        )


@rule("redis", "environment")
def redis_password_has_a_source(config: "StackConfig") -> Iterator[Problem]:
    redis = config.redis
    if redis.mode == "none":
        return
    if redis.password == "config" and "redisPassword" not in config.secrets:  # noqa: S105 - a mode
        yield Problem(
            "redis.password",
            f"'config' reads the secret redisPassword, which is not set; {how_to_set('redisPassword')}",
        )
    if redis.password != "config" and "redisPassword" in config.secrets:  # noqa: S105 - a mode
        yield Problem(
            "redisPassword",
            f"is set, but redis.password is '{redis.password}'; use redis.password: config, or remove it",
        )
    if redis.password == "none" and config.environment == "prod":  # noqa: S105 - a mode
        yield Problem("redis.password", "'none' is not allowed in prod; use generated or config")


@rule("redis")
def redis_backups_have_data_and_a_place(config: "StackConfig") -> Iterator[Problem]:
    redis = config.redis
    if redis.backup is None:
        return
    if redis.mode == "none":
        yield Problem("redis.backup", "there is no Redis to back up; use redis.mode standalone or sentinel")
    elif not redis.persistence:
        yield Problem("redis.backup", "there is nothing on disk to back up; use redis.persistence: true")
    if redis.backup.storage is None:
        yield Problem("redis.backup.storage", "missing; a backup needs a volume of its own, e.g. {size: 10Gi}")


@rule("mongodb")
def mongodb_backups_have_data_and_a_place(config: "StackConfig") -> Iterator[Problem]:
    mongodb = config.mongodb
    if mongodb.backup is None:
        return
    if not mongodb.enabled:
        yield Problem("mongodb.backup", "there is no MongoDB to back up; use mongodb.enabled: true")
    if mongodb.backup.storage is None:
        yield Problem("mongodb.backup.storage", "missing; a backup needs a volume of its own, e.g. {size: 10Gi}")


@rule("mongodb")
def replica_sets_have_a_majority(config: "StackConfig") -> Iterator[Problem]:
    replica_set = config.mongodb.replica_set
    if replica_set is not None and replica_set.members % 2 == 0:
        members = replica_set.members
        yield Problem(
            "mongodb.replicaSet.members",
            f"{members} members survive no more losses than {members - 1}; use an odd number from 1 to 7",
        )


@rule("mongodb")
def the_admin_page_is_for_a_few(config: "StackConfig") -> Iterator[Problem]:
    admin = config.mongodb.admin
    if admin is None:
        return
    if not config.mongodb.enabled:
        yield Problem("mongodb.admin", "there is no MongoDB to look into; use mongodb.enabled: true")
    if admin.host is None and not admin.allow_from:
        yield Problem("mongodb.admin.allowFrom", "missing; name the address ranges that may open the admin page")
    for cidr in admin.allow_from:
        if cidr in _WORLD:
            yield Problem("mongodb.admin.allowFrom", f"'{cidr}' is the whole world; name the ranges that may open it")


@rule("environment", "redis", "mongodb", "mesh", "protect")
def data_is_protected_in_prod(config: "StackConfig") -> Iterator[Problem]:
    redis_data = config.redis.mode != "none" and config.redis.persistence
    if (
        config.environment == "prod"
        and not config.protect
        and (redis_data or config.mongodb.enabled or config.mesh.enabled)
    ):
        yield Problem("protect", "false would let data be deleted with the stack; use true in prod")

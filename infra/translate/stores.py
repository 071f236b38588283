"""What Redis and MongoDB are given."""

from pathlib import Path

import pulumi

from infra import images
from infra.components.mongodb import MongoAdmin, MongodbArgs, ReplicaSet
from infra.components.redis import RedisArgs
from infra.config.secrets import Secrets
from infra.config.stores import MongodbConfig, RedisConfig
from infra.translate.common import backup, resources, storage

PROJECT = Path(__file__).parents[2]


def redis_args(
    config: RedisConfig, secrets: Secrets, *, namespace: pulumi.Input[str], protect: bool
) -> RedisArgs | None:
    """None where the stack has no Redis."""
    if config.mode == "none":
        return None
    mode = config.password
    return RedisArgs(
        namespace=namespace,
        mode=config.mode,
        image=config.image or images.REDIS,
        workload=config.workload,
        replicas=config.replicas,
        quorum=config.quorum,
        persistence=config.persistence,
        storage=storage(config.storage),
        authentication=mode != "none",
        password=secrets.get("redisPassword") if mode == "config" else None,
        client_access=config.client_access,
        proxy_image=config.proxy_image or images.HAPROXY,
        backup=backup(config.backup),
        resources=resources(config.resources),
        protect=protect,
    )


def mongodb_args(
    config: MongodbConfig, secrets: Secrets, *, namespace: pulumi.Input[str], protect: bool
) -> MongodbArgs | None:
    """None where the stack has no MongoDB."""
    if not config.enabled:
        return None
    members = config.replica_set
    admin = config.admin
    return MongodbArgs(
        namespace=namespace,
        image=config.image or images.MONGODB,
        storage=storage(config.storage),
        replica_set=None if members is None else ReplicaSet(members=members.members, name=members.name),
        init_scripts=None if config.init_scripts is None else PROJECT / config.init_scripts,
        database=config.database,
        username=config.username,
        password=secrets.get("mongodbPassword"),
        admin=None
        if admin is None
        else MongoAdmin(
            image=admin.image or images.MONGO_EXPRESS,
            username=admin.username,
            password=secrets.get("mongodbAdminPassword"),
        ),
        backup=backup(config.backup),
        resources=resources(config.resources),
        protect=protect,
    )

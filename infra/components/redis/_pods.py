"""The pods of Redis and Sentinel: what they are told, how they are probed, what they may write to."""

from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core.v1 import (
    ContainerArgs,
    EnvVarArgs,
    ExecActionArgs,
    LifecycleArgs,
    LifecycleHandlerArgs,
    PodTemplateSpecArgs,
    ProbeArgs,
    VolumeArgs,
    VolumeMountArgs,
)

from infra import pods
from infra.components._files import file_mount, file_volume
from infra.components._workloads import pod_template
from infra.components.redis._args import MASTER_SET, RedisArgs
from infra.components.redis._nodes import PASSWORD_KEY, Nodes
from infra.config.quantities import amount
from infra.pods import Resources
from infra.ports import REDIS, SENTINEL

REDIS_USER = 999
SCRIPTS = "/scripts"
DATA = "/data"
# What a fork for a snapshot, buffers and fragmentation need beside the data.
_MEMORY_SHARE = 0.6
_DOWN_AFTER_SECONDS = 5
_FAILOVER_WAIT_SECONDS = 30
_SENTINEL_WAIT_SECONDS = 60
_GRACE_SECONDS = 60
_SENTINEL_RESOURCES = Resources(cpu_request="50m", memory_request="64Mi", cpu_limit="200m", memory_limit="128Mi")


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What the component has made already and its pods refer to."""

    args: RedisArgs
    nodes: pulumi.Output[Nodes]
    scripts: pulumi.Input[str]
    # The Secret with the password; None without authentication.
    credentials: pulumi.Input[str] | None


def environment(parts: Parts) -> list[EnvVarArgs]:
    """What every script needs: all addresses, and the password where there is one."""
    login = (
        [] if parts.credentials is None else [pods.env_from_secret("REDISCLI_AUTH", parts.credentials, PASSWORD_KEY)]
    )
    return [
        pods.env("REDIS_NODES", parts.nodes.apply(lambda nodes: " ".join(nodes.redis))),
        pods.env("SENTINEL_NODES", parts.nodes.apply(lambda nodes: " ".join(nodes.sentinels))),
        pods.env("MASTER_SET", MASTER_SET),
        pods.env("DATA_DIR", DATA),
        *login,
    ]


def redis_template(
    name: str, parts: Parts, *, own_address: pulumi.Input[str], data: VolumeArgs | None
) -> PodTemplateSpecArgs:
    """A Redis pod. `data` is None where the StatefulSet claims a volume for each pod."""
    args = parts.args
    container = ContainerArgs(
        name="redis",
        image=args.image,
        command=["sh", f"{SCRIPTS}/start-redis.sh"],
        ports=[pods.container_port(REDIS)],
        env=[
            *pods.pod_identity(),
            *environment(parts),
            pods.env("SELF", own_address),
            pods.env("APPEND_ONLY", "yes" if args.persistence else "no"),
            pods.env("MAX_MEMORY", str(int(float(amount(args.resources.memory_limit)) * _MEMORY_SHARE))),
            # With two pods a lost replica must not stop the writes.
            pods.env("MIN_REPLICAS", "1" if args.replicas > 2 else "0"),
            pods.env("FAILOVER_WAIT_SECONDS", str(_FAILOVER_WAIT_SECONDS)),
            pods.env("SENTINEL_WAIT_SECONDS", str(_SENTINEL_WAIT_SECONDS)),
        ],
        resources=args.resources.args(),
        security_context=pods.restricted_container(),
        volume_mounts=[
            VolumeMountArgs(name="data", mount_path=DATA),
            file_mount("scripts", SCRIPTS),
            pods.scratch_mount(),
        ],
        # Loading the data of a full volume takes minutes; a pod that answers is past it.
        startup_probe=_script_probe("alive.sh", period=3, failures=200),
        liveness_probe=_script_probe("alive.sh", period=10, failures=6),
        readiness_probe=_script_probe("ready-redis.sh", period=5, failures=3),
        lifecycle=_hand_over() if args.mode == "sentinel" else None,
    )
    return _template(name, "redis", parts, container, [] if data is None else [data])


def sentinel_template(
    name: str, parts: Parts, *, own_address: pulumi.Input[str], data: VolumeArgs | None
) -> PodTemplateSpecArgs:
    """A Sentinel pod. `data` as for Redis: the volume remembers votes and the last master."""
    container = ContainerArgs(
        name="sentinel",
        image=parts.args.image,
        command=["sh", f"{SCRIPTS}/start-sentinel.sh"],
        ports=[pods.container_port(SENTINEL)],
        env=[
            *pods.pod_identity(),
            *environment(parts),
            pods.env("SELF", own_address),
            pods.env("QUORUM", str(parts.args.quorum)),
            pods.env("MASTER_WAIT_SECONDS", "30"),
            pods.env("DOWN_AFTER_MILLISECONDS", str(_DOWN_AFTER_SECONDS * 1000)),
            pods.env("FAILOVER_TIMEOUT_MILLISECONDS", "30000"),
        ],
        resources=_SENTINEL_RESOURCES.args(),
        security_context=pods.restricted_container(),
        volume_mounts=[
            VolumeMountArgs(name="data", mount_path=DATA),
            file_mount("scripts", SCRIPTS),
            pods.scratch_mount(),
        ],
        # It waits for a master before it listens, and the first master may load for minutes.
        startup_probe=_script_probe("alive.sh", period=3, failures=200),
        liveness_probe=_script_probe("alive.sh", period=10, failures=6),
        readiness_probe=_script_probe("ready-sentinel.sh", period=5, failures=3),
    )
    return _template(name, "sentinel", parts, container, [] if data is None else [data])


def _template(
    name: str, component: str, parts: Parts, container: ContainerArgs, volumes: list[VolumeArgs]
) -> PodTemplateSpecArgs:
    volumes = [*volumes, file_volume("scripts", parts.scripts)]
    return pod_template(name, component, container, volumes, user=REDIS_USER, grace_seconds=_GRACE_SECONDS)


def _script_probe(script: str, *, period: int, failures: int) -> ProbeArgs:
    return pods.exec_probe(["sh", f"{SCRIPTS}/{script}"], period=period, timeout=5, failures=failures)


def _hand_over() -> LifecycleArgs:
    command = ["sh", f"{SCRIPTS}/hand-over.sh"]
    return LifecycleArgs(pre_stop=LifecycleHandlerArgs(exec_=ExecActionArgs(command=command)))

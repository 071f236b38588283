"""What every pod of the platform is made of: restricted security, probes, resources, writable scratch space."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_kubernetes.core.v1 import (
    CapabilitiesArgs,
    ContainerPortArgs,
    EmptyDirVolumeSourceArgs,
    EnvVarArgs,
    EnvVarSourceArgs,
    ExecActionArgs,
    HTTPGetActionArgs,
    LifecycleArgs,
    LifecycleHandlerArgs,
    ObjectFieldSelectorArgs,
    PodSecurityContextArgs,
    ProbeArgs,
    ResourceRequirementsArgs,
    SeccompProfileArgs,
    SecretKeySelectorArgs,
    SecurityContextArgs,
    TCPSocketActionArgs,
    VolumeArgs,
    VolumeMountArgs,
)

from infra.ports import Port

APP_USER = 1000
# Between the last answer and SIGKILL: closing connections, flushing logs, leaving the registry.
SHUTDOWN_MARGIN_SECONDS = 5


@dataclass(frozen=True, kw_only=True)
class SecretKey:
    """One value of a Secret, by reference: the value itself never leaves the Secret."""

    secret: pulumi.Input[str]
    key: str


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What a container asks for and what it may use at most."""

    cpu_request: str = "100m"
    memory_request: str = "256Mi"
    cpu_limit: str = "500m"
    memory_limit: str = "512Mi"

    def args(self) -> ResourceRequirementsArgs:
        return ResourceRequirementsArgs(
            requests={"cpu": self.cpu_request, "memory": self.memory_request},
            limits={"cpu": self.cpu_limit, "memory": self.memory_limit},
        )


def restricted_pod(user: int = APP_USER) -> PodSecurityContextArgs:
    """A pod security context that the `restricted` standard accepts."""
    return PodSecurityContextArgs(
        run_as_non_root=True,
        run_as_user=user,
        run_as_group=user,
        fs_group=user,
        seccomp_profile=SeccompProfileArgs(type="RuntimeDefault"),
    )


def restricted_container() -> SecurityContextArgs:
    """A container security context that the `restricted` standard accepts, with a read-only root."""
    return SecurityContextArgs(
        allow_privilege_escalation=False,
        read_only_root_filesystem=True,
        run_as_non_root=True,
        capabilities=CapabilitiesArgs(drop=["ALL"]),
        seccomp_profile=SeccompProfileArgs(type="RuntimeDefault"),
    )


def scratch_volume(name: str = "tmp", size: str = "64Mi") -> VolumeArgs:
    """An emptyDir, for programs that need a writable directory on a read-only root."""
    return VolumeArgs(name=name, empty_dir=EmptyDirVolumeSourceArgs(size_limit=size))


def scratch_mount(name: str = "tmp", path: str = "/tmp") -> VolumeMountArgs:  # noqa: S108 - a path inside the container
    return VolumeMountArgs(name=name, mount_path=path)


def container_port(port: Port) -> ContainerPortArgs:
    return ContainerPortArgs(name=port.name, container_port=port.number, protocol=port.protocol)


def env(name: str, value: pulumi.Input[str]) -> EnvVarArgs:
    return EnvVarArgs(name=name, value=value)


def env_from_field(name: str, path: str) -> EnvVarArgs:
    """A variable from the downward API, e.g. `status.podIP`."""
    return EnvVarArgs(name=name, value_from=EnvVarSourceArgs(field_ref=ObjectFieldSelectorArgs(field_path=path)))


def env_from_secret(name: str, secret: pulumi.Input[str], key: str) -> EnvVarArgs:
    """A variable whose value stays in a Secret."""
    return EnvVarArgs(
        name=name, value_from=EnvVarSourceArgs(secret_key_ref=SecretKeySelectorArgs(name=secret, key=key))
    )


def pod_identity() -> list[EnvVarArgs]:
    """`POD_IP` and `POD_NAME`, as the program expects them."""
    return [env_from_field("POD_IP", "status.podIP"), env_from_field("POD_NAME", "metadata.name")]


def http_probe(
    path: str, port: Port, *, period: int = 10, timeout: int = 3, failures: int = 3, delay: int = 0
) -> ProbeArgs:
    return ProbeArgs(
        http_get=HTTPGetActionArgs(path=path, port=port.name),
        period_seconds=period,
        timeout_seconds=timeout,
        failure_threshold=failures,
        initial_delay_seconds=delay,
    )


def exec_probe(command: Sequence[str], *, period: int = 10, timeout: int = 5, failures: int = 3) -> ProbeArgs:
    return ProbeArgs(
        exec_=ExecActionArgs(command=list(command)),
        period_seconds=period,
        timeout_seconds=timeout,
        failure_threshold=failures,
    )


def tcp_probe(port: Port, *, period: int = 10, timeout: int = 3, failures: int = 3) -> ProbeArgs:
    return ProbeArgs(
        tcp_socket=TCPSocketActionArgs(port=port.name),
        period_seconds=period,
        timeout_seconds=timeout,
        failure_threshold=failures,
    )


def drain(seconds: int) -> LifecycleArgs | None:
    """Go on serving for a while before SIGTERM, so that load balancers stop sending first.

    Some send clients back to a pod that goes for as long as it is ready: so it is told to be unready.
    """
    command = ["sh", "-c", f"kill -USR1 1; sleep {seconds}"]
    stop = LifecycleHandlerArgs(exec_=ExecActionArgs(command=command))
    return LifecycleArgs(pre_stop=stop) if seconds else None


def grace_period(*, drain_seconds: int, request_budget_seconds: int) -> int:
    """`terminationGracePeriodSeconds`, derived: it counts from before the drain."""
    return drain_seconds + request_budget_seconds + SHUTDOWN_MARGIN_SECONDS

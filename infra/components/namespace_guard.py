"""The namespace and its guard rails: pod security, quota, default limits."""

from dataclasses import dataclass
from typing import Literal

from infra.component import Component

PodSecurity = Literal["restricted", "baseline", "privileged"]


@dataclass(frozen=True, kw_only=True)
class Quota:
    """The most that all pods of the namespace may ask for together. None leaves a figure out."""

    cpu_requests: str | None = None
    memory_requests: str | None = None
    cpu_limits: str | None = None
    memory_limits: str | None = None
    pods: int | None = None
    persistent_volume_claims: int | None = None


@dataclass(frozen=True, kw_only=True)
class ContainerLimits:
    """What a container gets that names no figures of its own, and the most that one may name."""

    default_cpu: str = "500m"
    default_memory: str = "512Mi"
    default_cpu_request: str = "50m"
    default_memory_request: str = "64Mi"
    max_cpu: str | None = None
    max_memory: str | None = None


@dataclass(frozen=True, kw_only=True)
class NamespaceGuardArgs:
    """`namespace` is the name in the cluster. `create=False` takes one that exists, whose labels stay its owner's."""

    namespace: str
    create: bool = True
    pod_security: PodSecurity = "restricted"
    pod_security_version: str = "latest"
    quota: Quota | None = None
    limits: ContainerLimits | None = None
    protect: bool = False


class NamespaceGuard(Component):
    """Output `namespace`: the name, known once the namespace exists. Put every other resource into it."""

"""The namespace and its guard rails: pod security, quota, default limits."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pulumi
from pulumi_kubernetes.core.v1 import (
    LimitRange,
    LimitRangeItemArgs,
    LimitRangeSpecArgs,
    Namespace,
    ResourceQuota,
    ResourceQuotaSpecArgs,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra import naming
from infra.component import Component, object_name

COMPONENT = "namespace"
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
    default_request_cpu: str = "100m"
    default_request_memory: str = "128Mi"
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
    # For controllers that read them from the namespace, such as a service mesh.
    annotations: Mapping[str, str] = field(default_factory=dict[str, str])
    protect: bool = False


class NamespaceGuard(Component):
    """Owns the namespace, where it makes one, its ResourceQuota and its LimitRange."""

    namespace: pulumi.Output[str]
    """The name, known once the namespace exists. Every other resource is given this one."""

    def __init__(self, name: str, args: NamespaceGuardArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("namespace_guard", "NamespaceGuard", name, opts)
        if args.create:
            self.namespace = self._create(args)
        else:
            self.namespace = pulumi.Output.from_input(args.namespace)
        if args.quota is not None:
            ResourceQuota(
                naming.child(name, "quota"),
                metadata=self._metadata(name),
                spec=ResourceQuotaSpecArgs(hard=_hard(args.quota)),
                opts=self.child_options(),
            )
        if args.limits is not None:
            LimitRange(
                naming.child(name, "limits"),
                metadata=self._metadata(name),
                spec=LimitRangeSpecArgs(limits=[_container_limits(args.limits)]),
                opts=self.child_options(),
            )
        self.finish({"namespace": self.namespace})

    def _create(self, args: NamespaceGuardArgs) -> pulumi.Output[str]:
        namespace = Namespace(
            naming.child(self.name, "namespace"),
            metadata=ObjectMetaArgs(
                name=args.namespace,
                labels={**naming.labels(args.namespace, COMPONENT), **_pod_security(args)},
                annotations=dict(args.annotations) or None,
            ),
            # Deleting a namespace deletes every volume claim in it.
            opts=self.stateful_options(protect=args.protect),
        )
        return object_name(namespace.metadata)

    def _metadata(self, name: str) -> ObjectMetaArgs:
        return ObjectMetaArgs(name=name, namespace=self.namespace, labels=naming.labels(name, COMPONENT))


def _pod_security(args: NamespaceGuardArgs) -> dict[str, str]:
    """What is enforced is also audited and warned about."""
    return {
        f"pod-security.kubernetes.io/{mode}{suffix}": value
        for mode in ("enforce", "audit", "warn")
        for suffix, value in (("", args.pod_security), ("-version", args.pod_security_version))
    }


def _hard(quota: Quota) -> dict[str, str]:
    figures = {
        "requests.cpu": quota.cpu_requests,
        "requests.memory": quota.memory_requests,
        "limits.cpu": quota.cpu_limits,
        "limits.memory": quota.memory_limits,
        "pods": quota.pods,
        "persistentvolumeclaims": quota.persistent_volume_claims,
    }
    return {resource: str(figure) for resource, figure in figures.items() if figure is not None}


def _container_limits(limits: ContainerLimits) -> LimitRangeItemArgs:
    most = {"cpu": limits.max_cpu, "memory": limits.max_memory}
    return LimitRangeItemArgs(
        type="Container",
        default={"cpu": limits.default_cpu, "memory": limits.default_memory},
        default_request={"cpu": limits.default_request_cpu, "memory": limits.default_request_memory},
        max={resource: figure for resource, figure in most.items() if figure is not None} or None,
    )

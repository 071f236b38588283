"""What a workload may do through the Kubernetes API: an account, and a role where it needs one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi
from pulumi_kubernetes.core.v1 import ServiceAccount
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_kubernetes.rbac.v1 import (
    ClusterRole,
    ClusterRoleBinding,
    PolicyRuleArgs,
    Role,
    RoleBinding,
    RoleRefArgs,
    SubjectArgs,
)

from infra import naming
from infra.component import Component, object_name

Access = Literal["none", "namespace", "cluster"]
_GROUP = "rbac.authorization.k8s.io"
_READ = ("get", "list", "watch")


@dataclass(frozen=True, kw_only=True)
class Permission:
    """Verbs on resources of one API group; the empty group is the core one. With `names`, on these objects alone."""

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...] = _READ
    names: tuple[pulumi.Input[str], ...] = ()

    def args(self) -> PolicyRuleArgs:
        return PolicyRuleArgs(
            api_groups=[self.group],
            resources=list(self.resources),
            verbs=list(self.verbs),
            resource_names=list(self.names) or None,
        )


# Enough to see one's own peers and the state of the workloads around; no Secret can be read.
READ_WORKLOADS = (
    Permission(group="", resources=("pods", "services")),
    Permission(group="apps", resources=("deployments", "statefulsets")),
    Permission(group="discovery.k8s.io", resources=("endpointslices",)),
)


def service_account(owner: Component, namespace: pulumi.Input[str], labels: dict[str, str]) -> pulumi.Output[str]:
    """An account named like its owner. It mounts no token by itself: the pod says whether it wants one."""
    account = ServiceAccount(
        naming.child(owner.name, "account"),
        metadata=ObjectMetaArgs(name=owner.name, namespace=namespace, labels=labels),
        automount_service_account_token=False,
        opts=owner.child_options(),
    )
    return object_name(account.metadata)


def grant(
    owner: Component,
    access: Access,
    *,
    namespace: pulumi.Input[str],
    account: pulumi.Input[str],
    labels: dict[str, str],
    permissions: Sequence[Permission],
    part: str | None = None,
) -> None:
    """Bind `account` to a role with `permissions`, in its namespace or in the whole cluster. Names are generated,
    because a ClusterRole is shared by every stack of the cluster and a binding cannot change its role. `part` tells
    a second role of the same owner from its first.
    """
    if access == "none":
        return
    rules = [permission.args() for permission in permissions]
    subject = SubjectArgs(kind="ServiceAccount", name=account, namespace=namespace)
    prefix = owner.name if part is None else naming.child(owner.name, part)
    role_name, binding_name = naming.child(prefix, "role"), naming.child(prefix, "binding")
    if access == "cluster":
        metadata = ObjectMetaArgs(labels=labels)
        role = ClusterRole(role_name, metadata=metadata, rules=rules, opts=owner.child_options())
        ClusterRoleBinding(
            binding_name,
            metadata=metadata,
            role_ref=RoleRefArgs(api_group=_GROUP, kind="ClusterRole", name=object_name(role.metadata)),
            subjects=[subject],
            opts=owner.child_options(),
        )
        return
    metadata = ObjectMetaArgs(namespace=namespace, labels=labels)
    namespaced = Role(role_name, metadata=metadata, rules=rules, opts=owner.child_options())
    RoleBinding(
        binding_name,
        metadata=metadata,
        role_ref=RoleRefArgs(api_group=_GROUP, kind="Role", name=object_name(namespaced.metadata)),
        subjects=[subject],
        opts=owner.child_options(),
    )

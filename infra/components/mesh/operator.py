"""The operator: makes workloads from `MCPAgent` objects."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.apps.v1 import DeploymentStrategyArgs

from infra import naming
from infra.commands import OPERATOR as OPERATOR_COMMAND
from infra.component import Component
from infra.components import _rbac, _server_services
from infra.components._program_pod import Program
from infra.components._rbac import Permission
from infra.components._workloads import disruption_budget
from infra.components.mesh.crd import GROUP, PLURAL
from infra.edges import Pods
from infra.pods import Resources
from infra.ports import HTTP, Port

COMPONENT = "operator"
# Applying creates and patches; nothing is ever replaced whole.
_MANAGE = ("get", "list", "watch", "create", "patch", "delete")
# Every kind that an agent becomes, and nothing else: no Secret, no role.
_CLUSTER_PERMISSIONS = (
    Permission(group=GROUP, resources=(PLURAL,), verbs=("get", "list", "watch", "patch")),
    Permission(group=GROUP, resources=(f"{PLURAL}/status",), verbs=("patch",)),
    # Where owner references are guarded, to own something is to hold up its owner's end.
    Permission(group=GROUP, resources=(f"{PLURAL}/finalizers",), verbs=("update",)),
    Permission(group="", resources=("services", "serviceaccounts", "configmaps"), verbs=_MANAGE),
    Permission(group="apps", resources=("deployments",), verbs=_MANAGE),
    Permission(group="autoscaling", resources=("horizontalpodautoscalers",), verbs=_MANAGE),
    Permission(group="policy", resources=("poddisruptionbudgets",), verbs=_MANAGE),
    Permission(group="networking.k8s.io", resources=("networkpolicies",), verbs=_MANAGE),
    Permission(group="monitoring.coreos.com", resources=("servicemonitors",), verbs=_MANAGE),
    # Why they do not become ready, which their agent's status says.
    Permission(group="", resources=("pods",), verbs=("list",)),
    Permission(group="", resources=("events",), verbs=("create",)),
    # Whether the resource is there at all, before the first watch; and which namespaces there are.
    Permission(group="apiextensions.k8s.io", resources=("customresourcedefinitions",), verbs=("get", "list", "watch")),
    Permission(group="", resources=("namespaces",), verbs=("get", "list", "watch")),
)


@dataclass(frozen=True, kw_only=True)
class OperatorArgs:
    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    registry_url: pulumi.Input[str]
    # More than one waits for the leader's lease.
    replicas: int = 1
    port: Port = HTTP
    resources: Resources = field(default_factory=Resources)
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    prometheus: bool = True
    pull_secret: pulumi.Input[str] | None = None


class Operator(Component):
    """The operator and what it may do: in the cluster to what agents become, in its own namespace to one lease."""

    selector: dict[str, str]
    """The labels that find the pods."""
    pods: Pods
    """The pods, which call the Kubernetes API and the registry."""
    service_name: pulumi.Output[str]
    """The Service by which its metrics are found."""
    lease: str
    """The name of the lease that the leader holds, in the operator's namespace."""

    def __init__(self, name: str, args: OperatorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mesh", "Operator", name, opts)
        labels = naming.labels(name, COMPONENT)
        self.selector = naming.selector(name, COMPONENT)
        self.pods = Pods(name=name, selector=self.selector)
        self.port = args.port
        self.lease = naming.child(name, "leader")
        account = _rbac.service_account(self, args.namespace, labels)
        _rbac.grant(
            self, "cluster", namespace=args.namespace, account=account, labels=labels, permissions=_CLUSTER_PERMISSIONS
        )
        _rbac.grant(
            self,
            "namespace",
            namespace=args.namespace,
            account=account,
            labels=labels,
            permissions=_lease_permissions(self.lease),
            part="lease",
        )
        self._workload(args, account)
        disruption_budget(self, name, COMPONENT, args.namespace)
        self.service_name = _server_services.cluster_service(
            self, namespace=args.namespace, component=COMPONENT, port=args.port, affinity_seconds=None
        )
        self.finish({"service_name": self.service_name, "lease": self.lease, "port": self.port.number})

    def _workload(self, args: OperatorArgs, account: pulumi.Input[str]) -> None:
        program = Program(
            component=COMPONENT,
            command=(*OPERATOR_COMMAND, "--lease", self.lease),
            image=args.image,
            namespace=args.namespace,
            port=args.port,
            resources=args.resources,
            # Agents run the operator's own image unless their object names another.
            environment={
                **args.environment,
                "MCP_MESH_REGISTRY_URL": args.registry_url,
                "ARCHON_MCP_IMAGE": args.image,
            },
            account=account,
            mount_token=True,
            drain_seconds=0,
            prometheus=args.prometheus,
            pull_secret=args.pull_secret,
        )
        # The lease decides who works, so old and new may overlap.
        program.deployment(self, replicas=args.replicas, strategy=DeploymentStrategyArgs(type="RollingUpdate"))


def _lease_permissions(lease: str) -> tuple[Permission, ...]:
    """Creation cannot be limited to a name, for there is none yet when it is asked."""
    return (
        Permission(group="coordination.k8s.io", resources=("leases",), verbs=("create",)),
        Permission(
            group="coordination.k8s.io",
            resources=("leases",),
            verbs=("get", "watch", "update", "patch"),
            names=(lease,),
        ),
    )

"""One MCP server: its pods, the Services that find them, what they may do and how many of them there are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import pulumi
from pulumi_kubernetes.apps.v1 import DeploymentStrategyArgs
from pulumi_kubernetes.core.v1 import ConfigMap
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget, PodDisruptionBudgetSpecArgs

from infra import naming
from infra.component import Component, object_name
from infra.components import _rbac, _server_pod, _server_services
from infra.components._program_pod import rolling
from infra.components._rbac import Access
from infra.components.autoscaling import Autoscaling, AutoscalingArgs, Scaling
from infra.pods import Resources, SecretKey
from infra.ports import HTTP, Port
from infra.scheduling import AntiAffinity

Transport = Literal["http", "sse", "websocket"]
COMPONENT = "server"
DAY_SECONDS = 86400


@dataclass(frozen=True, kw_only=True)
class McpServerArgs:
    """What one server is made of. Its name is the component's name."""

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    transport: Transport = "http"
    port: Port = HTTP
    toolsets: tuple[str, ...] = ()
    replicas: int = 1
    workers: int = 1
    resources: Resources = field(default_factory=Resources)
    scaling: Scaling | None = None
    # How long a client address stays with its pod; None lets every connection go anywhere.
    affinity_seconds: int | None = DAY_SECONDS
    node_port: int | None = None
    min_available: int = 1
    # The pod waits this long before SIGTERM, so that load balancers notice; then running calls have their budget.
    drain_seconds: int = 15
    request_budget_seconds: int = 30
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    secret_environment: Mapping[str, SecretKey] = field(default_factory=dict[str, SecretKey])
    redis_url: SecretKey | None = None
    mongodb_uri: SecretKey | None = None
    bearer_tokens: SecretKey | None = None
    request_state_key: SecretKey | None = None
    # What the program may read through the Kubernetes API; "none" mounts no token.
    access: Access = "none"
    anti_affinity: AntiAffinity = "preferred"
    prometheus: bool = True
    pull_secret: pulumi.Input[str] | None = None
    # Public names that it answers to, beside its names in the cluster; without any, it answers to every name.
    hosts: tuple[str, ...] = ()
    # What the exposure's controller reads from the Service rather than from the Ingress.
    service_annotations: Mapping[str, str] = field(default_factory=dict[str, str])


class McpServer(Component):
    """Any number of these make a stack. Every attribute is also a registered output of the component."""

    service_name: pulumi.Output[str]
    """The Service inside the cluster, on port 80."""
    headless_name: pulumi.Output[str]
    """The Service whose DNS name lists the pods."""
    node_port_name: pulumi.Output[str] | None
    """The Service on the nodes, where `node_port` is set."""
    deployment: pulumi.Output[str]
    """The workload's name, known once it has been rolled out."""
    selector: dict[str, str]
    """The labels that find the pods: for network policies and monitors."""
    port: Port
    """The container's port: for network policies, Ingresses and monitors."""
    url: pulumi.Output[str]
    """The address inside the cluster."""
    endpoint: pulumi.Output[str]
    """The address inside the cluster that an MCP client is given."""

    def __init__(self, name: str, args: McpServerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mcp_server", "McpServer", name, opts)
        labels = naming.labels(name, COMPONENT)
        self.selector = naming.selector(name, COMPONENT)
        self.port = args.port
        account = _rbac.service_account(self, args.namespace, labels)
        _rbac.grant(
            self,
            args.access,
            namespace=args.namespace,
            account=account,
            labels=labels,
            permissions=_rbac.READ_WORKLOADS,
        )
        self.deployment = self._deployment(args, account)
        self._services(args)
        self._availability(args)
        self.url = pulumi.Output.all(self.service_name, args.namespace).apply(_url)
        self.endpoint = self.url.apply(lambda url: _endpoint(url, args.transport))
        self.finish(
            {
                "deployment": self.deployment,
                "endpoint": self.endpoint,
                "headless_name": self.headless_name,
                "node_port_name": self.node_port_name,
                "port": self.port.number,
                "selector": self.selector,
                "service_name": self.service_name,
                "url": self.url,
            }
        )

    def _deployment(self, args: McpServerArgs, account: pulumi.Input[str]) -> pulumi.Output[str]:
        config = _server_pod.configuration(self.name, args)
        labels = naming.labels(self.name, COMPONENT)
        config_map = ConfigMap(
            naming.child(self.name, "config"),
            metadata=ObjectMetaArgs(namespace=args.namespace, labels=labels),
            data=config,
            opts=self.child_options(),
        )
        program = _server_pod.program(
            args,
            component=COMPONENT,
            config_map=object_name(config_map.metadata),
            config=config,
            account=account,
        )
        return program.deployment(
            self, replicas=args.replicas if args.scaling is None else None, strategy=_strategy(args.anti_affinity)
        )

    def _services(self, args: McpServerArgs) -> None:
        self.service_name = _server_services.cluster_service(
            self,
            namespace=args.namespace,
            component=COMPONENT,
            port=args.port,
            affinity_seconds=args.affinity_seconds,
            annotations=args.service_annotations,
        )
        self.headless_name = _server_services.headless_service(
            self, namespace=args.namespace, component=COMPONENT, port=args.port
        )
        self.node_port_name = None
        if args.node_port is not None:
            self.node_port_name = _server_services.node_port_service(
                self,
                namespace=args.namespace,
                component=COMPONENT,
                port=args.port,
                node_port=args.node_port,
                affinity_seconds=args.affinity_seconds,
            )

    def _availability(self, args: McpServerArgs) -> None:
        if args.scaling is not None:
            Autoscaling(
                self.name,
                AutoscalingArgs(
                    namespace=args.namespace, target=self.deployment, scaling=args.scaling, component=COMPONENT
                ),
                self.child_options(),
            )
        least = args.replicas if args.scaling is None else args.scaling.min_replicas
        if least == 1:
            return  # a budget over a single pod would block every drain of its node
        if args.min_available >= least:
            raise ValueError(
                f"server {self.name}: min_available is {args.min_available} of {least} pods, which blocks every drain "
                f"of a node: set it to {least - 1} or less"
            )
        PodDisruptionBudget(
            naming.child(self.name, "pdb"),
            metadata=ObjectMetaArgs(
                name=self.name, namespace=args.namespace, labels=naming.labels(self.name, COMPONENT)
            ),
            spec=PodDisruptionBudgetSpecArgs(
                min_available=args.min_available,
                selector=LabelSelectorArgs(match_labels=self.selector),
                # A pod that never became ready must not hold up a drain.
                unhealthy_pod_eviction_policy="AlwaysAllow",
            ),
            opts=self.child_options(),
        )


def _strategy(anti_affinity: AntiAffinity) -> DeploymentStrategyArgs:
    """One more pod before one less. Where pods may not share a node there may be no room for one more."""
    return rolling(max_surge="25%", max_unavailable=1 if anti_affinity == "required" else 0)


def _url(parts: Sequence[str]) -> str:
    service, namespace = parts
    return f"http://{naming.service_host(service, namespace)}"


def _endpoint(url: str, transport: Transport) -> str:
    if transport == "websocket":
        return f"ws://{url.removeprefix('http://')}/mcp"
    return f"{url}/sse" if transport == "sse" else f"{url}/mcp"

"""The registry: the directory in which agents find each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.apps.v1 import StatefulSet, StatefulSetSpecArgs
from pulumi_kubernetes.core.v1 import VolumeMountArgs
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs

from infra import edge_catalogue, naming
from infra.commands import REGISTRY as REGISTRY_COMMAND
from infra.component import Component
from infra.components import _server_services
from infra.components._program_pod import Program
from infra.components._workloads import claim_retention, claim_template, disruption_budget
from infra.edges import Edge, Pods
from infra.pods import Resources, SecretKey
from infra.ports import REGISTRY, Port
from infra.storage import Storage

COMPONENT = "registry"
DATA = "/var/lib/slipway"


@dataclass(frozen=True, kw_only=True)
class RegistryArgs:
    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    replicas: int = 3
    storage: Storage = field(default_factory=lambda: Storage(size="1Gi"))
    port: Port = REGISTRY
    # A port on every node, for agents outside the cluster.
    node_port: int | None = None
    resources: Resources = field(default_factory=Resources)
    # What the replicas share; without it each keeps what it was told on its own volume.
    redis_url: SecretKey | None = None
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    drain_seconds: int = 15
    request_budget_seconds: int = 30
    prometheus: bool = True
    pull_secret: pulumi.Input[str] | None = None
    # Whether the objects that hold data are kept from deletion.
    protect: bool = False


class Registry(Component):
    """The registry's pods, each with a volume and a name of its own."""

    url: pulumi.Output[str]
    """What agents are given as `MCP_MESH_REGISTRY_URL`: any replica answers."""
    service_name: pulumi.Output[str]
    """The Service inside the cluster, on port 80."""
    headless_name: pulumi.Output[str]
    """The Service that gives every replica a DNS name."""
    selector: dict[str, str]
    """The labels that find the pods."""
    edges: tuple[Edge, ...]
    """What must be open among the replicas."""

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mesh", "Registry", name, opts)
        self.selector = naming.selector(name, COMPONENT)
        self.pods = Pods(name=name, selector=self.selector)
        self.port = args.port
        self.headless_name = _server_services.headless_service(
            self, namespace=args.namespace, component=COMPONENT, port=args.port
        )
        self._workload(args)
        # An agent talks to whichever replica answers; keeping it on one would only unbalance them.
        self.service_name = _server_services.cluster_service(
            self, affinity_seconds=None, namespace=args.namespace, component=COMPONENT, port=args.port
        )
        if args.node_port is not None:
            _server_services.node_port_service(
                self,
                node_port=args.node_port,
                affinity_seconds=None,
                namespace=args.namespace,
                component=COMPONENT,
                port=args.port,
            )
        disruption_budget(self, name, COMPONENT, args.namespace)
        self.url = pulumi.Output.all(self.service_name, args.namespace).apply(
            lambda known: f"http://{naming.service_host(known[0], known[1])}"
        )
        self.edges = self.edges_from(self.pods) if args.replicas > 1 else ()
        self.finish({"service_name": self.service_name, "headless_name": self.headless_name, "url": self.url})

    def edges_from(self, client: Pods) -> tuple[Edge, ...]:
        """What must be open for `client` to register and to find agents."""
        return (edge_catalogue.registry(client, self.pods, self.port),)

    def _workload(self, args: RegistryArgs) -> None:
        program = Program(
            component=COMPONENT,
            command=(*REGISTRY_COMMAND, "--data", DATA),
            image=args.image,
            namespace=args.namespace,
            port=args.port,
            resources=args.resources,
            environment=args.environment,
            fields={"REGISTRY_ID": "metadata.name"},
            secret_environment={"REDIS_URL": args.redis_url},
            mounts=(VolumeMountArgs(name="data", mount_path=DATA),),
            drain_seconds=args.drain_seconds,
            request_budget_seconds=args.request_budget_seconds,
            prometheus=args.prometheus,
            pull_secret=args.pull_secret,
            revisions=False,
        )
        StatefulSet(
            naming.child(self.name, "statefulset"),
            metadata=ObjectMetaArgs(
                name=self.name, namespace=args.namespace, labels=naming.labels(self.name, COMPONENT)
            ),
            spec=StatefulSetSpecArgs(
                replicas=args.replicas,
                service_name=self.headless_name,
                # No replica waits for another: each can serve alone.
                pod_management_policy="Parallel",
                selector=LabelSelectorArgs(match_labels=self.selector),
                template=program.template(self.name),
                volume_claim_templates=[claim_template("data", self.name, COMPONENT, args.storage)],
                persistent_volume_claim_retention_policy=claim_retention(protect=args.protect),
            ),
            opts=self.stateful_options(protect=args.protect),
        )

"""The registry: the directory in which agents find each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

from infra import naming
from infra.component import Component
from infra.edges import Edge, Pods
from infra.pods import Resources, SecretKey
from infra.ports import REGISTRY, Port
from infra.storage import Storage


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
    """Outputs: `url` (what agents are given as `MCP_MESH_REGISTRY_URL`), `service_name`, `headless_name`."""

    url: pulumi.Output[str]
    service_name: pulumi.Output[str]
    headless_name: pulumi.Output[str]

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mesh", "Registry", name, opts)
        self.selector = naming.selector(name, "registry")
        self.pods = Pods(name=name, selector=self.selector)
        self.port = args.port
        self.finish({})

    def edges_from(self, client: Pods) -> tuple[Edge, ...]:
        """What `client` must reach to register and to find agents."""
        return (Edge(source=client, target=self.pods, ports=(self.port,), reason="registers and finds agents"),)

"""Objects for a service mesh that the cluster already runs: Istio or Linkerd."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pulumi

from infra.component import Component
from infra.ports import SERVICE, Port

ServiceMeshKind = Literal["istio", "linkerd"]


@dataclass(frozen=True, kw_only=True)
class RetryBudget:
    """How much traffic retries may add, so that they never become the outage."""

    retry_ratio: float = 0.2
    min_retries_per_second: int = 10
    ttl: str = "10s"


@dataclass(frozen=True, kw_only=True)
class OutlierDetection:
    """When the mesh stops sending requests to a failing pod."""

    consecutive_errors: int = 5
    interval: str = "10s"
    ejection_time: str = "30s"


@dataclass(frozen=True, kw_only=True)
class ServiceMeshArgs:
    namespace: pulumi.Input[str]
    kind: ServiceMeshKind
    # Names of the Services that get the mesh's policy: agents, registry, servers, gateway.
    services: tuple[str, ...] = ()
    # Which agent's Service answers for a capability: the header `x-mcp-capability` routes by it (Istio).
    capabilities: Mapping[str, str] = field(default_factory=dict[str, str])
    # The host that such calls are sent to.
    agents_host: str = "mcp-agents"
    service_port: Port = SERVICE
    strict_mtls: bool = True
    timeout: str = "30s"
    retry_budget: RetryBudget = field(default_factory=RetryBudget)
    outlier_detection: OutlierDetection = field(default_factory=OutlierDetection)


class ServiceMesh(Component):
    """Owns the mesh's objects for the platform's Services. It never installs a mesh."""

    def __init__(self, name: str, args: ServiceMeshArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("service-mesh", "ServiceMesh", name, opts)
        self.finish({})

"""Who may speak to whom. An edge is one reason for traffic; the Network component turns edges into policies."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from infra.ports import Port

METADATA_SERVICE = "169.254.169.254/32"
PRIVATE_RANGES = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")


@dataclass(frozen=True, kw_only=True)
class Pods:
    """Pods that the platform runs, in its own namespace."""

    name: str
    selector: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class ForeignPods:
    """Pods of somebody else: an ingress controller, Prometheus, the cluster's DNS. No labels means all of them."""

    name: str
    namespace: str | None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Address ranges outside the cluster, or of its nodes."""

    name: str
    cidrs: tuple[str, ...] = ("0.0.0.0/0",)
    excluded: tuple[str, ...] = ()


Peer = Pods | ForeignPods | Addresses


@dataclass(frozen=True, kw_only=True)
class Edge:
    """`source` opens connections to `ports` of `target`. Ports are the container's own, not the Service's."""

    source: Peer
    target: Peer
    ports: tuple[Port, ...]
    reason: str

    @property
    def name(self) -> str:
        return f"{self.source.name}-to-{self.target.name}"

"""The component: ServiceMonitor, PrometheusRule and dashboards, each only where it is wanted."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

from infra.component import Component
from infra.components.observability._rules import Watched
from infra.ports import HTTP, Port


@dataclass(frozen=True, kw_only=True)
class ScrapeTarget:
    """A Service, found by its labels, whose pods serve metrics."""

    name: str
    selector: Mapping[str, str]
    port: Port = HTTP
    path: str = "/metrics"


@dataclass(frozen=True, kw_only=True)
class ObservabilityArgs:
    namespace: pulumi.Input[str]
    targets: tuple[ScrapeTarget, ...] = ()
    service_monitors: bool = False
    rules: bool = False
    dashboards: bool = False
    watched: Watched = field(default_factory=Watched)
    # Labels by which a Prometheus picks its monitors and rules, e.g. {"release": "kube-prometheus-stack"}.
    prometheus_labels: Mapping[str, str] = field(default_factory=dict[str, str])


class Observability(Component):
    """Owns monitors, alert rules and dashboards. It never makes a Prometheus or a Grafana."""

    def __init__(self, name: str, args: ObservabilityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("observability", "Observability", name, opts)
        self.finish({})

"""The component: ServiceMonitors, a PrometheusRule and dashboards, each only where it is wanted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.core.v1 import ConfigMap
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra import naming
from infra.component import Component
from infra.components.observability._rules import RUNBOOKS, Watched, alerts
from infra.ports import HTTP, Port

DASHBOARDS = Path(__file__).parents[2] / "dashboards"
_API = "monitoring.coreos.com/v1"
_COMPONENT = "observability"
_INTERVAL = "30s"


@dataclass(frozen=True, kw_only=True)
class ScrapeTarget:
    """A Service, by its name and labels, whose pods serve metrics."""

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
    # Where the pages of docs/runbooks are read.
    runbooks: str = RUNBOOKS


class Observability(Component):
    """Owns monitors, alert rules and dashboards. It never makes a Prometheus or a Grafana."""

    dashboards: tuple[str, ...]
    """The names of the dashboards that Grafana is given."""

    def __init__(self, name: str, args: ObservabilityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("observability", "Observability", name, opts)
        if args.service_monitors:
            for target in args.targets:
                self._service_monitor(args, target)
        if args.rules:
            self._rules(args)
        self.dashboards = tuple(self._dashboard(args, path) for path in dashboard_files()) if args.dashboards else ()
        self.finish({"dashboards": list(self.dashboards)})

    def _metadata(self, args: ObservabilityArgs, name: str) -> ObjectMetaArgs:
        return ObjectMetaArgs(
            name=name,
            namespace=args.namespace,
            labels={**naming.labels(self.name, _COMPONENT), **args.prometheus_labels},
        )

    def _service_monitor(self, args: ObservabilityArgs, target: ScrapeTarget) -> None:
        CustomResource(
            naming.child(self.name, "monitor", target.name),
            api_version=_API,
            kind="ServiceMonitor",
            metadata=self._metadata(args, target.name),
            spec={
                "jobLabel": "app.kubernetes.io/name",
                "selector": {"matchLabels": dict(target.selector)},
                "endpoints": [
                    {
                        "port": target.port.name,
                        "path": target.path,
                        "interval": _INTERVAL,
                        # Headless and NodePort Services have the same labels: each pod is scraped once.
                        "relabelings": [
                            {
                                "sourceLabels": ["__meta_kubernetes_service_name"],
                                "regex": target.name,
                                "action": "keep",
                            }
                        ],
                    }
                ],
            },
            opts=self.child_options(),
        )

    def _rules(self, args: ObservabilityArgs) -> None:
        def groups(namespace: str) -> list[dict[str, object]]:
            rules = [alert.rule(args.runbooks) for alert in alerts(namespace, args.watched)]
            return [{"name": "slipway", "rules": rules}]

        CustomResource(
            naming.child(self.name, "rules"),
            api_version=_API,
            kind="PrometheusRule",
            metadata=self._metadata(args, naming.child(self.name, "rules")),
            spec={"groups": pulumi.Output.from_input(args.namespace).apply(groups)},
            opts=self.child_options(),
        )

    def _dashboard(self, args: ObservabilityArgs, path: Path) -> str:
        ConfigMap(
            naming.child(self.name, "dashboard", path.stem),
            metadata=ObjectMetaArgs(
                namespace=args.namespace,
                # Grafana's sidecar takes what has this label.
                labels={**naming.labels(self.name, _COMPONENT), "grafana_dashboard": "1"},
            ),
            data={path.name: path.read_text("utf-8")},
            opts=self.child_options(),
        )
        return path.stem


def dashboard_files() -> list[Path]:
    """Every dashboard that ships, in the order of its name."""
    return sorted(DASHBOARDS.glob("*.json"))

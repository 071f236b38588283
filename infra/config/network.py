"""Who may speak to whom, and what is measured."""

from typing import Literal

from pydantic import Field

from infra.config.base import Many, Model
from infra.config.values import Cidr, Label, Url
from infra.edges import PRIVATE_RANGES


class NetworkConfig(Model):
    """Network policies: everything is denied but the edges that the platform has."""

    enabled: bool = True
    """Whether policies are made."""
    egress_https: bool = True
    """Whether servers may call HTTPS services outside the cluster, and those with `search` all web servers."""
    egress_except: Many[Cidr] = PRIVATE_RANGES
    """Address ranges that outside calls never reach: private ones and the cloud's metadata service."""
    prometheus_namespace: Label | None = None
    """Namespace whose pods may scrape metrics; `observability.prometheusNamespace` when absent."""
    kubernetes_api: Many[Cidr] = ()
    """Addresses of the Kubernetes API, for pods that call it; any address on its ports when empty."""


class TracesConfig(Model):
    """Where OpenTelemetry spans go."""

    endpoint: Url
    """OTLP endpoint, e.g. `http://collector.monitoring:4318`."""


class ObservabilityConfig(Model):
    """Metrics, alerts, dashboards, traces and logs."""

    annotations: bool = True
    """`prometheus.io/…` annotations on pods, for a Prometheus that discovers by them."""
    service_monitor: bool = False
    """A ServiceMonitor for the Prometheus operator."""
    rules: bool = False
    """A PrometheusRule with alerts."""
    dashboards: bool = False
    """Grafana dashboards as ConfigMaps."""
    prometheus_namespace: Label = "monitoring"
    """Namespace that Prometheus runs in."""
    prometheus_labels: dict[str, str] = Field(default_factory=dict[str, str])
    """Labels by which Prometheus picks its monitors and rules, e.g. `release: kube-prometheus-stack`."""
    traces: TracesConfig | None = None
    """Where spans go; no tracing when absent."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severe messages that are logged."""

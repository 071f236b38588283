"""The alerts: one for every failure that somebody should be told of, each with its runbook."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

RUNBOOKS = "https://github.com/slipway-mcp/slipway/blob/main/docs/runbooks"
_CERTIFICATE_DAYS = 14
_RESTARTS = 3


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What the stack has, so that no alert waits for something that does not exist. Names are those in the cluster."""

    # Deployments and StatefulSets that must always have a ready pod.
    workloads: tuple[str, ...] = ()
    autoscalers: tuple[str, ...] = ()
    redis: str | None = None
    registry: str | None = None
    certificates: bool = False
    backups: bool = False
    # Part of all calls that may fail, and seconds within which 99 of 100 must be answered.
    error_ratio: float = 0.05
    latency_seconds: float = 2.5


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One alert. `runbook` is the name of its page under docs/runbooks."""

    name: str
    runbook: str
    expression: str
    lasting: str
    severity: Literal["critical", "warning"]
    summary: str

    def rule(self, runbooks: str) -> dict[str, Any]:
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": self.lasting,
            "labels": {"severity": self.severity, "service": "slipway"},
            "annotations": {"summary": self.summary, "runbook_url": f"{runbooks}/{self.runbook}.md"},
        }


def alerts(namespace: str, watched: Watched) -> Iterator[Alert]:
    """The alerts for one namespace."""
    where = f'namespace="{namespace}"'
    yield from _of_calls(where, watched)
    yield from _of_pods(where, watched)
    yield from _of_stores(where, watched)
    if watched.certificates:
        left = "certmanager_certificate_expiration_timestamp_seconds"
        yield Alert(
            name="SlipwayCertificateExpiring",
            runbook="certificate-expiring",
            # cert-manager's own label gives way to the scrape's in some installations.
            expression=f"({left}{{{where}}} or {left}{{exported_{where}}}) - time() < {_CERTIFICATE_DAYS * 86400}",
            lasting="1h",
            severity="warning",
            summary=f"Certificate {{{{ $labels.name }}}} was not renewed: it ends in {_CERTIFICATE_DAYS} days or less.",
        )
    if watched.registry is not None:
        agents = f'slipway_registry_agents{{{where},job="{watched.registry}",state="healthy"}}'
        yield Alert(
            name="SlipwayRegistryWithoutAgents",
            runbook="registry-without-agents",
            expression=f"max({agents}) == 0",
            lasting="5m",
            severity="critical",
            summary="The registry knows no healthy agent.",
        )


def _of_calls(where: str, watched: Watched) -> Iterator[Alert]:
    failed = f'sum by (job) (rate(mcp_requests_total{{{where},status="error"}}[5m]))'
    every = f"sum by (job) (rate(mcp_requests_total{{{where}}}[5m]))"
    yield Alert(
        name="SlipwayErrorRatioHigh",
        runbook="error-ratio",
        # A handful of calls is no sample.
        expression=f"{failed} / {every} > {watched.error_ratio:g} and {every} > 0.1",
        lasting="10m",
        severity="critical",
        summary="{{ $value | humanizePercentage }} of the calls to {{ $labels.job }} fail.",
    )
    buckets = f"sum by (job, le) (rate(mcp_request_duration_seconds_bucket{{{where}}}[5m]))"
    yield Alert(
        name="SlipwayLatencyHigh",
        runbook="latency",
        expression=f"histogram_quantile(0.99, {buckets}) > {watched.latency_seconds:g}",
        lasting="10m",
        severity="warning",
        summary="One call in a hundred to {{ $labels.job }} takes longer than {{ $value | humanizeDuration }}.",
    )


def _of_pods(where: str, watched: Watched) -> Iterator[Alert]:
    if watched.workloads:
        names = _any_of(watched.workloads)
        yield Alert(
            name="SlipwayNoReadyReplicas",
            runbook="no-ready-replicas",
            expression=_ready(where, names) + " == 0",
            lasting="2m",
            severity="critical",
            summary="{{ $labels.deployment }}{{ $labels.statefulset }} has no ready pod.",
        )
        yield Alert(
            name="SlipwayTargetDown",
            runbook="target-down",
            expression=f'up{{{where},job=~"{names}"}} == 0',
            lasting="5m",
            severity="warning",
            summary="Prometheus cannot scrape {{ $labels.pod }} of {{ $labels.job }}.",
        )
    yield Alert(
        name="SlipwayRestartLoop",
        runbook="restart-loop",
        expression=f"increase(kube_pod_container_status_restarts_total{{{where}}}[15m]) > {_RESTARTS}",
        lasting="0m",
        severity="critical",
        summary="{{ $labels.pod }} restarted more than " + f"{_RESTARTS} times in 15 minutes.",
    )
    if watched.autoscalers:
        chosen = f'{{{where},horizontalpodautoscaler=~"{_any_of(watched.autoscalers)}"}}'
        yield Alert(
            name="SlipwayAutoscalerAtMax",
            runbook="autoscaler-at-max",
            expression=f"kube_horizontalpodautoscaler_status_current_replicas{chosen}"
            f" >= kube_horizontalpodautoscaler_spec_max_replicas{chosen}",
            lasting="15m",
            severity="warning",
            summary="{{ $labels.horizontalpodautoscaler }} wants more pods than it may have.",
        )


def _of_stores(where: str, watched: Watched) -> Iterator[Alert]:
    if watched.redis is not None:
        yield Alert(
            name="SlipwayRedisDown",
            runbook="redis-down",
            expression=_ready(where, watched.redis) + " == 0",
            lasting="1m",
            severity="critical",
            summary="Redis has no ready pod: sessions and map state cannot be reached.",
        )
    if watched.backups:
        yield Alert(
            name="SlipwayBackupFailed",
            runbook="backup-failed",
            expression=f'kube_job_status_failed{{{where},job_name=~".+-backup-[0-9]+"}} > 0',
            lasting="5m",
            severity="warning",
            summary="{{ $labels.job_name }} made no copy.",
        )


def _ready(where: str, names: str) -> str:
    """Ready pods of the Deployments and StatefulSets whose names match."""
    deployments = f'kube_deployment_status_replicas_ready{{{where},deployment=~"{names}"}}'
    sets = f'kube_statefulset_status_replicas_ready{{{where},statefulset=~"{names}"}}'
    return f"({deployments} or {sets})"


def _any_of(names: tuple[str, ...]) -> str:
    """A regular expression, which Prometheus anchors at both ends. Names are DNS labels and need no escape."""
    return "|".join(names)

"""What Prometheus reads of the operator."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

disable_created_metrics()


class OperatorMetrics:
    """The metrics of one operator."""

    def __init__(self, *, version: str) -> None:
        self._registry = registry = CollectorRegistry()
        self.leader = Gauge("slipway_operator_leader", "1 while this replica holds the lease.", registry=registry)
        self.agents = Gauge("slipway_operator_agents", "MCPAgent objects known.", registry=registry)
        self.waiting = Gauge("slipway_operator_queue_length", "Agents waiting to be looked at.", registry=registry)
        self._looks = Counter(
            "slipway_operator_reconciles_total", "Agents looked at, by how it ended.", ("result",), registry=registry
        )
        self._seconds = Histogram(
            "slipway_operator_reconcile_seconds",
            "How long it took to look at an agent.",
            buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=registry,
        )
        self._calls = Counter(
            "slipway_operator_api_calls_total",
            "Requests to the Kubernetes API, watches aside; status 0 is no answer.",
            ("verb", "status"),
            registry=registry,
        )
        self._changes = Counter(
            "slipway_operator_changes_total", "Objects applied and pruned.", ("kind", "change"), registry=registry
        )
        build = Gauge("slipway_build_info", "What runs.", ("version",), registry=registry)
        build.labels(version).set(1)

    def looked(self, result: str, seconds: float) -> None:
        self._looks.labels(result).inc()
        self._seconds.observe(seconds)

    def called(self, verb: str, status: int) -> None:
        self._calls.labels(verb, str(status)).inc()

    def changed(self, kind: str, change: str) -> None:
        self._changes.labels(kind, change).inc()

    def render(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self._registry)

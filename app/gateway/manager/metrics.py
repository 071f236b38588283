"""What Prometheus reads of the manager."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from app.gateway.manager.model import PHASES, Phase

_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 180)


class _Servers(Collector):
    """Counted when Prometheus asks, so that it cannot be wrong."""

    def __init__(self) -> None:
        self.phases: Callable[[], Iterable[Phase]] = tuple

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily("slipway_gateway_servers", "External servers by state.", labels=["state"])
        counted = Tally(self.phases())
        for phase in PHASES:
            family.add_metric([phase], counted[phase])
        yield family


class ManagerMetrics:
    """Servers by state, attempts to start one by outcome, and how long those took that succeeded."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        self._servers = _Servers()
        self._starts = Counter(
            "slipway_gateway_starts_total", "Attempts to start a server.", ("outcome",), registry=registry
        )
        self._seconds = Histogram(
            "slipway_gateway_start_seconds",
            "From being wanted until its tools were listed.",
            buckets=_BUCKETS,
            registry=registry,
        )
        for outcome in ("ready", "failed"):
            self._starts.labels(outcome)
        if registry is not None:
            registry.register(self._servers)

    def watch(self, phases: Callable[[], Iterable[Phase]]) -> None:
        """Where the states are found."""
        self._servers.phases = phases

    def attempted(self, outcome: str, seconds: float | None) -> None:
        """One attempt is over."""
        self._starts.labels(outcome).inc()
        if seconds is not None:
            self._seconds.observe(seconds)

"""What an agent tells Prometheus beside what every server does."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.registry import Collector

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_MOST_NAMES = 200
_OTHER = "other"


class AgentMetrics(Collector):
    """Calls to other agents, and whether the registry knows this one."""

    def __init__(self, joined: Callable[[], bool] = lambda: False) -> None:
        self._registry = registry = CollectorRegistry()
        self._calls = Counter(
            "slipway_mesh_calls_total", "Calls to other agents.", ("capability", "outcome"), registry=registry
        )
        self._seconds = Histogram(
            "slipway_mesh_call_seconds", "Time of calls to other agents.", buckets=_BUCKETS, registry=registry
        )
        self._retries = Counter(
            "slipway_mesh_retries_total", "Calls tried again at another agent.", ("capability",), registry=registry
        )
        registered = Gauge("slipway_mesh_registered", "1 while the registry knows this agent.", registry=registry)
        registered.set_function(lambda: float(joined()))
        self._names: set[str] = set()

    def called(self, capability: str, outcome: str, seconds: float) -> None:
        self._calls.labels(self._label(capability), outcome).inc()
        self._seconds.observe(seconds)

    def retried(self, capability: str) -> None:
        self._retries.labels(self._label(capability)).inc()

    def collect(self) -> Iterable[Metric]:
        return self._registry.collect()

    def _label(self, capability: str) -> str:
        if capability not in self._names and len(self._names) < _MOST_NAMES:
            self._names.add(capability)
        return capability if capability in self._names else _OTHER

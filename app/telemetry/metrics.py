"""What Prometheus reads: names that dashboards rely on, labels with a bounded number of values."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, generate_latest
from prometheus_client.registry import Collector

from app.telemetry._tally import PlainTallies, SharedTallies, Tallies, Tally

disable_created_metrics()

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
OTHER: Final = "other"  # the method label of everything that the protocol does not know


class Metrics:
    """The metrics of one process; with `shared` (several workers), `render` adds up those of all."""

    def __init__(self, *, version: str, shared: str | None = None) -> None:
        self._registry = registry = CollectorRegistry()
        self._shared = shared
        self._tallies: Tallies = PlainTallies(registry) if shared is None else SharedTallies(registry)
        self.running: Final = self._tallies.running
        refused = Counter(
            "slipway_refused_total",
            "Requests refused before they reached the protocol.",
            ("reason",),
            registry=registry,
        )
        gauge_mode = "livesum"
        self.websockets: Final = Gauge(
            "slipway_websockets_open", "WebSockets open now.", multiprocess_mode=gauge_mode, registry=registry
        )
        self.draining: Final = Gauge(
            "slipway_draining", "1 while shutting down.", multiprocess_mode="livemax", registry=registry
        )
        build = Gauge("slipway_build_info", "What runs.", ("version",), multiprocess_mode="livemax", registry=registry)
        build.labels(version).set(1)
        self._refused = refused
        self._expected: set[str] = set()
        self._known: dict[str, Tally] = {}

    def include(self, collector: Collector) -> None:
        """Render what the collector tells, too."""
        self._registry.register(collector)

    def expect(self, methods: Iterable[str]) -> None:
        """Give each of these methods a label of its own when it is first seen; others are counted as `other`."""
        self._expected.update(methods)

    def answered(self, method: str, failed: int, seconds: float) -> None:
        """Count one answered request; `failed` is the JSON-RPC error code, 0 for a result."""
        known = self._known.get(method) or self._tally(method)
        known.add(failed, seconds)

    def refused(self, reason: str) -> None:
        """Count one request that was not let in; `reason` is one of the few words of `security`."""
        self._refused.labels(reason).inc()

    def render(self) -> bytes:
        """The metrics in Prometheus' text format."""
        if self._shared is None:
            return generate_latest(self._registry)
        from prometheus_client.multiprocess import MultiProcessCollector

        every_worker = CollectorRegistry()
        MultiProcessCollector(every_worker, path=self._shared)
        return generate_latest(every_worker)

    def _tally(self, method: str) -> Tally:
        label = method if method in self._expected else OTHER
        known = self._known.get(label)
        if known is None:
            known = self._known[label] = self._tallies.tally(label)
        return known


def forget_worker(pid: int, shared: str) -> None:
    """Drop the gauges of a worker that ended; its counters stay, so that sums never fall."""
    for file in Path(shared).glob(f"gauge_live*_{pid}.db"):
        file.unlink(missing_ok=True)

"""What Prometheus reads: names that dashboards rely on, labels with a bounded number of values."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

disable_created_metrics()

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
OTHER: Final = "other"  # the method label of everything that the protocol does not know

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


_Observers = tuple[Callable[[], None], Callable[[], None], Callable[[float], None]]


class Metrics:
    """The metrics of one process; with `shared` (several workers), `render` adds up those of all."""

    def __init__(self, *, version: str, shared: str | None = None) -> None:
        self._registry = registry = CollectorRegistry()
        self._shared = shared
        requests = Counter(
            "mcp_requests_total",
            "MCP requests answered, by method and outcome.",
            ("method", "status"),
            registry=registry,
        )
        duration = Histogram(
            "mcp_request_duration_seconds", "How long answering took.", ("method",), buckets=_BUCKETS, registry=registry
        )
        refused = Counter(
            "slipway_refused_total",
            "Requests refused before they reached the protocol.",
            ("reason",),
            registry=registry,
        )
        gauge_mode = "livesum"
        self.running: Final = Gauge(
            "slipway_calls_running", "Calls being answered now.", multiprocess_mode=gauge_mode, registry=registry
        )
        self.websockets: Final = Gauge(
            "slipway_websockets_open", "WebSockets open now.", multiprocess_mode=gauge_mode, registry=registry
        )
        self.draining: Final = Gauge(
            "slipway_draining", "1 while shutting down.", multiprocess_mode="livemax", registry=registry
        )
        build = Gauge("slipway_build_info", "What runs.", ("version",), multiprocess_mode="livemax", registry=registry)
        build.labels(version).set(1)
        self._refused = refused
        self._requests = requests
        self._duration = duration
        self._expected: set[str] = set()
        self._observers: dict[str, _Observers] = {}

    def expect(self, methods: Iterable[str]) -> None:
        """Give each of these methods a label of its own when it is first seen; others are counted as `other`."""
        self._expected.update(methods)

    def answered(self, method: str, failed: int, seconds: float) -> None:
        """Count one answered request; `failed` is the JSON-RPC error code, 0 for a result."""
        known = self._observers.get(method)
        count_ok, count_error, observe = self._observe(method) if known is None else known
        if failed:
            count_error()
        else:
            count_ok()
        observe(seconds)

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

    def _observe(self, method: str) -> _Observers:
        """Children are looked up once: a label look-up costs more than the increment itself."""
        label = method if method in self._expected else OTHER
        if label not in self._observers:
            counts = (self._requests.labels(label, "ok").inc, self._requests.labels(label, "error").inc)
            self._observers[label] = (*counts, self._duration.labels(label).observe)
        return self._observers[label]


def forget_worker(pid: int, shared: str) -> None:
    """Drop the gauges of a worker that ended; its counters stay, so that sums never fall."""
    for file in Path(shared).glob(f"gauge_live*_{pid}.db"):
        file.unlink(missing_ok=True)

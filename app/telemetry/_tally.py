"""Counting answers: by plain numbers in one process, by Prometheus' shared files where there are several."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_BOUNDS = (*map(str, BUCKETS), "+Inf")
_REQUESTS = ("mcp_requests_total", "MCP requests answered, by method and outcome.")
_DURATION = ("mcp_request_duration_seconds", "How long answering took.")
_RUNNING = ("slipway_calls_running", "Calls being answered now.")


class Tally(Protocol):
    """The answers to one method."""

    def add(self, failed: int, seconds: float) -> None:
        """Count one answer."""
        ...


class Running(Protocol):
    """How many calls run."""

    def inc(self) -> None:
        """One more."""
        ...

    def dec(self) -> None:
        """One less."""
        ...


class Tallies(Protocol):
    """Where a process counts."""

    @property
    def running(self) -> Running:
        """How many calls run."""
        ...

    def tally(self, label: str) -> Tally:
        """A new tally for that label."""
        ...


class PlainTallies(Collector):
    """Counts in this process alone. Prometheus' own objects take a lock for each number, which every call would pay."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.running = _PlainRunning()
        self._tallies: dict[str, _PlainTally] = {}
        registry.register(self)

    def tally(self, label: str) -> Tally:
        made = self._tallies[label] = _PlainTally()
        return made

    def collect(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(*_REQUESTS, labels=("method", "status"))
        duration = HistogramMetricFamily(*_DURATION, labels=("method",))
        for label, tally in self._tallies.items():
            for status, count in (("ok", tally.ok), ("error", tally.errors)):
                if count:
                    requests.add_metric((label, status), count)
            buckets = list(zip(_BOUNDS, map(float, accumulate(tally.counts)), strict=True))
            duration.add_metric((label,), buckets, tally.seconds)
        yield requests
        yield duration
        yield GaugeMetricFamily(*_RUNNING, value=self.running.calls)

    def describe(self) -> Iterable[Metric]:
        return (CounterMetricFamily(*_REQUESTS), HistogramMetricFamily(*_DURATION), GaugeMetricFamily(*_RUNNING))


class SharedTallies:
    """Counts that Prometheus adds up over all workers."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(*_REQUESTS, ("method", "status"), registry=registry)
        self._duration = Histogram(*_DURATION, ("method",), buckets=BUCKETS, registry=registry)
        self.running = Gauge(*_RUNNING, multiprocess_mode="livesum", registry=registry)

    def tally(self, label: str) -> Tally:
        return _SharedTally(
            self._requests.labels(label, "ok"), self._requests.labels(label, "error"), self._duration.labels(label)
        )


class _PlainRunning:
    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls = 0

    def inc(self) -> None:
        self.calls += 1

    def dec(self) -> None:
        self.calls -= 1


class _PlainTally:
    __slots__ = ("counts", "errors", "ok", "seconds")

    def __init__(self) -> None:
        self.ok = self.errors = 0
        self.seconds = 0.0
        self.counts = [0] * len(_BOUNDS)

    def add(self, failed: int, seconds: float) -> None:
        if failed:
            self.errors += 1
        else:
            self.ok += 1
        self.seconds += seconds
        self.counts[bisect_left(BUCKETS, seconds)] += 1


class _SharedTally:
    __slots__ = ("_error", "_observe", "_ok")

    def __init__(self, ok: Counter, error: Counter, duration: Histogram) -> None:
        self._ok, self._error, self._observe = ok.inc, error.inc, duration.observe

    def add(self, failed: int, seconds: float) -> None:
        if failed:
            self._error()
        else:
            self._ok()
        self._observe(seconds)

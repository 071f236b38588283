"""What Prometheus reads about child processes."""

from __future__ import annotations

from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge

ChildState = Literal["starting", "running", "stopping"]


class ChildMetrics:
    """Made when the first child may be started, in the registry of the process's other metrics."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        children = Gauge(
            "slipway_children",
            "Child processes now, by state.",
            ("state",),
            multiprocess_mode="livesum",
            registry=registry,
        )
        self._children: Final = {state: children.labels(state) for state in ("starting", "running", "stopping")}
        self.started: Final = Counter("slipway_children_started_total", "Child processes started.", registry=registry)
        self.reaped: Final = Counter(
            "slipway_children_reaped_total", "Child processes of which nothing is left.", registry=registry
        )
        self.orphans: Final = Counter(
            "slipway_children_orphans_total",
            "Descendants that outlived their server or left its process group, and were ended.",
            registry=registry,
        )

    def moved(self, before: ChildState | None, after: ChildState | None) -> None:
        """A child went from one state to another; None is before its start and after its end."""
        if before is not None:
            self._children[before].dec()
        if after is not None:
            self._children[after].inc()

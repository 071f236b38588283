"""What Prometheus reads about pods of servers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge


class PodMetrics:
    """Made once, in the registry of the process's other metrics."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        registry = registry or CollectorRegistry()
        self._pods = Gauge("slipway_pods", "Pods of servers that there are now.", registry=registry)
        self.created: Final = Counter("slipway_pods_created_total", "Pods of servers created.", registry=registry)
        self.deleted: Final = Counter("slipway_pods_deleted_total", "Pods of servers deleted by us.", registry=registry)
        self.lost: Final = Counter(
            "slipway_pods_lost_total", "Pods of servers that others deleted or that were evicted.", registry=registry
        )
        self.refused: Final = Counter(
            "slipway_pods_refused_total",
            "Pods that the API server refused, by its quota or a policy.",
            registry=registry,
        )

    def watch(self, count: Callable[[], int]) -> None:
        """Ask for the number of pods whenever it is read."""
        self._pods.set_function(count)

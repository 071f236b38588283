"""What Prometheus reads of the registry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.mesh.model import State
from app.mesh.registry.service import Registry

_AGENTS = ("slipway_registry_agents", "Agents that this replica knows, by state.")
_BEATS = ("slipway_registry_heartbeats_total", "Heartbeats answered, by status.")
_REGISTRATIONS = ("slipway_registry_registrations_total", "Registrations answered, by outcome.")
_AWAY = ("slipway_registry_store_away_seconds", "For how long the store has been away; 0 while it is there.")
_PENDING = ("slipway_registry_pending", "Registrations and removals that wait for the store.")
_WATCHERS = ("slipway_registry_watchers", "Streams of /watch that are open.")
_STRETCH = ("slipway_registry_interval_stretch", "By how much intervals between heartbeats are prolonged.")


class RegistryMetrics(Collector):
    """Reads the registry's own numbers when it is asked."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        registry, replica = self._registry, self._registry.replica
        agents = GaugeMetricFamily(*_AGENTS, labels=("state",))
        for state in State:
            agents.add_metric((state.word,), replica.directory.counts[state])
        yield agents
        for (name, text), label, counts in (
            (_BEATS, "status", registry.heartbeats),
            (_REGISTRATIONS, "outcome", registry.registrations),
        ):
            family = CounterMetricFamily(name, text, labels=(label,))
            for value, count in counts.items():
                family.add_metric((value,), count)
            yield family
        pending = len(replica.pending.puts) + len(replica.pending.removals)
        for (name, text), value in (
            (_AWAY, replica.away_for),
            (_PENDING, pending),
            (_WATCHERS, len(replica.hub)),
            (_STRETCH, replica.pace.stretch),
        ):
            yield GaugeMetricFamily(name, text, value=value)

    def describe(self) -> Iterable[Metric]:
        gauges = (GaugeMetricFamily(*known) for known in (_AGENTS, _AWAY, _PENDING, _WATCHERS, _STRETCH))
        return (*gauges, CounterMetricFamily(*_BEATS), CounterMetricFamily(*_REGISTRATIONS))

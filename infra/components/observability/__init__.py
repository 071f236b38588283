"""What Prometheus scrapes, what it alerts on, and what Grafana shows."""

from infra.components.observability._component import Observability, ObservabilityArgs, ScrapeTarget
from infra.components.observability._rules import Watched

__all__ = ["Observability", "ObservabilityArgs", "ScrapeTarget", "Watched"]

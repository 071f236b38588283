"""What is scraped, alerted on and shown."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra.components.observability import ObservabilityArgs, ScrapeTarget, Watched
from infra.config import StackConfig

if TYPE_CHECKING:
    from infra.platform import Platform


def observability_args(platform: "Platform", config: StackConfig) -> ObservabilityArgs | None:
    """None where the stack file asks for no monitors, rules or dashboards."""
    wanted = config.observability
    if not (wanted.service_monitor or wanted.rules or wanted.dashboards):
        return None
    targets = tuple(_targets(platform))
    scaled = [name for name, server in config.servers.items() if server.autoscaling is not None]
    if platform.agents:
        scaled += [name for name, agent in config.mesh.agents.items() if agent.autoscaling is not None]
    return ObservabilityArgs(
        namespace=platform.namespace,
        targets=targets,
        service_monitors=wanted.service_monitor,
        rules=wanted.rules,
        dashboards=wanted.dashboards,
        prometheus_labels=wanted.prometheus_labels,
        watched=Watched(
            workloads=tuple(target.name for target in targets),
            autoscalers=tuple(scaled),
            redis=None if platform.redis is None else platform.redis.name,
            registry=None if platform.registry is None else platform.registry.name,
            certificates=platform.tls is not None and config.tls.mode != "existing",
        ),
    )


def _targets(platform: "Platform") -> Iterator[ScrapeTarget]:
    for server in platform.servers.values():
        yield ScrapeTarget(name=server.name, selector=server.selector, port=server.port)
    for part in (platform.gateway, platform.registry, platform.operator, *platform.agents.values()):
        if part is not None:
            yield ScrapeTarget(name=part.name, selector=part.selector, port=part.port)

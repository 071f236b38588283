"""What the parts of a platform have to do with each other: who calls whom, under which public names."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra import edge_catalogue as usual
from infra.config import StackConfig
from infra.config.exposure import ExposureConfig
from infra.edges import Edge, Pods
from infra.exposure import Profile
from infra.ports import Port

if TYPE_CHECKING:
    from infra.platform import Platform

# The toolset whose `fetch_page` follows addresses to wherever web servers listen.
_FETCHES_PAGES = "search"

# Where each controller's pods usually are. The balancers of clouds are no pods: they come from outside.
CONTROLLER_NAMESPACES: dict[Profile, str] = {
    "nginx": "ingress-nginx",
    "traefik": "traefik",
    "haproxy": "haproxy-controller",
}


def public_hosts(config: StackConfig) -> tuple[str, ...]:
    """Every host name that a certificate must cover, each once."""
    own = [server.host for server in config.servers.values() if server.exposed]
    if config.gateway.enabled and config.gateway.exposed:
        own.append(config.gateway.host)
    if config.mongodb.enabled and config.mongodb.admin is not None:
        own.append(config.mongodb.admin.host)
    return tuple(dict.fromkeys(host for host in (config.exposure.host, *own) if host is not None))


def secrets_of_servers(config: StackConfig) -> list[str]:
    """The keys of `slipway:secrets` that a server or an agent is given as a variable."""
    takers = [*config.servers.values(), *(config.mesh.agents.values() if config.mesh.enabled else ())]
    return sorted({key for taker in takers for key in taker.secret_environment.values()})


def existing_secrets(config: StackConfig) -> list[str]:
    """The Secrets that the stack refers to and somebody else made."""
    existing = config.tls.secret_name if config.tls.mode == "existing" else None
    names = (config.image.pull_secret, config.tls.ca_secret, existing)
    return [name for name in names if name is not None]


def mesh_services(config: StackConfig) -> Iterator[str]:
    """The Services that a service mesh is told of."""
    yield from config.servers
    if config.gateway.enabled:
        yield "gateway"
    if config.mesh.enabled:
        yield "registry"
        yield from config.mesh.agents


def edges(platform: "Platform", config: StackConfig) -> tuple[Edge, ...]:
    """Every edge that the platform really has."""
    return (
        *usual.dns(),
        *_of_stores(platform),
        *_of_servers(platform, config),
        *_of_gateway(platform, config),
        *_of_mesh(platform, config),
        *_of_edge(platform, config),
        *_of_spans(platform, config),
    )


def _of_stores(platform: "Platform") -> Iterator[Edge]:
    if platform.redis is not None:
        yield from platform.redis.edges
    if platform.mongodb is not None:
        yield from platform.mongodb.edges


def _of_servers(platform: "Platform", config: StackConfig) -> Iterator[Edge]:
    for name, server in platform.servers.items():
        given = config.servers[name]
        pods = Pods(name=name, selector=server.selector)
        if platform.redis is not None and given.use_redis:
            yield from platform.redis.edges_from(pods)
        if platform.mongodb is not None and given.use_mongodb:
            yield from platform.mongodb.edges_from(pods)
        if config.network.egress_https:
            egress = usual.web_egress if _FETCHES_PAGES in given.toolsets else usual.https_egress
            yield egress(pods, config.network.egress_except)
        if given.rbac != "none":
            yield usual.kubernetes_api(pods, config.network.kubernetes_api)
        yield _scraped(pods, server.port, config)
        if given.exposed:
            yield from _reached(pods, server.port, config.exposure, node_port=given.node_port is not None)
        elif given.node_port is not None:
            yield usual.public(pods, server.port)


def _of_gateway(platform: "Platform", config: StackConfig) -> Iterator[Edge]:
    gateway = platform.gateway
    if gateway is None:
        return
    yield from gateway.edges
    yield usual.kubernetes_api(gateway.pods, config.network.kubernetes_api)
    # Package registries are asked before anything is started from them.
    yield usual.https_egress(gateway.pods, config.network.egress_except)
    yield usual.https_egress(gateway.internet_pods, config.network.egress_except)
    if platform.redis is not None:
        yield from platform.redis.edges_from(gateway.pods)
    if platform.mongodb is not None:
        yield from platform.mongodb.edges_from(gateway.pods)
    yield _scraped(gateway.pods, gateway.port, config)
    if config.gateway.exposed:
        yield from _reached(gateway.pods, gateway.port, config.exposure, node_port=False)


def _of_mesh(platform: "Platform", config: StackConfig) -> Iterator[Edge]:
    registry = platform.registry
    if registry is None:
        return
    if platform.redis is not None:
        yield from platform.redis.edges_from(registry.pods)
    yield _scraped(registry.pods, registry.port, config)
    if config.mesh.registry.node_port is not None:
        yield usual.public(registry.pods, registry.port)
    for agent in platform.agents.values():
        yield from registry.edges_from(agent.pods)
        yield _scraped(agent.pods, agent.port, config)
        if config.network.egress_https:
            yield usual.https_egress(agent.pods, config.network.egress_except)
    yield from _between_agents(platform, config)
    if platform.operator is not None:
        # Agents made from custom resources, in any namespace.
        yield usual.registry(usual.OPERATED_AGENTS, registry.pods, registry.port)
        yield usual.registry(usual.LEAVING_AGENTS, registry.pods, registry.port)
        for agent in platform.agents.values():
            yield usual.call(usual.OPERATED_AGENTS, agent.pods, agent.port)
        yield from registry.edges_from(platform.operator.pods)
        yield usual.kubernetes_api(platform.operator.pods, config.network.kubernetes_api)
        yield _scraped(platform.operator.pods, platform.operator.port, config)


def _between_agents(platform: "Platform", config: StackConfig) -> Iterator[Edge]:
    """An agent calls those whose capabilities it depends on."""
    for caller, given in config.mesh.agents.items():
        for called, other in config.mesh.agents.items():
            offered = {capability.name for capability in other.capabilities}
            if caller != called and offered & set(given.dependencies):
                target = platform.agents[called]
                yield usual.call(platform.agents[caller].pods, target.pods, target.port)


def _of_edge(platform: "Platform", config: StackConfig) -> Iterator[Edge]:
    exposure, mongodb = config.exposure, platform.mongodb
    if mongodb is not None and mongodb.admin_pods is not None:
        admin = config.mongodb.admin
        if admin is not None and admin.host is not None:
            yield from _reached(mongodb.admin_pods, mongodb.admin_port, exposure, node_port=False)
    namespace = _controller_namespace(exposure)
    if config.tls.mode == "acme" and platform.tls is not None and namespace is not None:
        yield usual.acme_solver(namespace=namespace)


def _of_spans(platform: "Platform", config: StackConfig) -> Iterator[Edge]:
    traces = config.observability.traces
    if traces is not None:
        servers = [Pods(name=name, selector=server.selector) for name, server in platform.servers.items()]
        programs = [part.pods for part in (platform.gateway, platform.registry, platform.operator) if part is not None]
        for pods in (*servers, *programs, *(agent.pods for agent in platform.agents.values())):
            yield usual.collector(pods, traces.endpoint)


def _scraped(pods: Pods, port: Port, config: StackConfig) -> Edge:
    namespace = config.network.prometheus_namespace or config.observability.prometheus_namespace
    return usual.prometheus(pods, port, namespace=namespace)


def _reached(pods: Pods, port: Port, exposure: ExposureConfig, *, node_port: bool) -> Iterator[Edge]:
    """How clients from outside come to these pods."""
    namespace = _controller_namespace(exposure)
    if namespace is not None:
        yield usual.ingress_controller(pods, port, namespace=namespace)
    if node_port or exposure.profile in ("alb", "gce", "appgw"):
        yield usual.public(pods, port)


def _controller_namespace(exposure: ExposureConfig) -> str | None:
    if exposure.controller_namespace is not None:
        return exposure.controller_namespace
    if exposure.profile == "gatewayApi" and exposure.gateway is not None:
        return exposure.gateway.namespace
    return CONTROLLER_NAMESPACES.get(exposure.profile)

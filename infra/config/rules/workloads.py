"""Rules about pods: how many, how large, on which ports, with which variables."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from infra.config.errors import Problem
from infra.config.quantities import amount
from infra.config.rules.parts import autoscalers, environments, named_secrets, workloads
from infra.config.rules.registry import rule
from infra.config.secrets import FIXED_SECRETS, how_to_set

if TYPE_CHECKING:
    from infra.config.common import ResourcesConfig
    from infra.config.stack import StackConfig

_OWNED_VARIABLES: Final = {
    "MCP_TRANSPORT": "transport",
    "MCP_PORT": "port",
    "MCP_WORKERS": "workers",
    "MCP_TOOLSETS": "toolsets",
}
_STACK_VARIABLES: Final = {
    "REDIS_URL": "redis",
    "REDIS_HOST": "redis",
    "MONGODB_URI": "mongodb",
}
_SECRET_ENDINGS: Final = ("_KEY", "_TOKEN", "_PASSWORD", "_SECRET")
_PROXY_PORTS: Final = {
    "istio": frozenset({15000, 15001, 15004, 15006, 15008, 15020, 15021, 15053, 15090}),
    "linkerd": frozenset({4140, 4143, 4190, 4191}),
}
_NEEDS_HTTPS: Final = ("war", "search")


@rule("servers", "gateway", "mesh")
def something_runs(config: "StackConfig") -> Iterator[Problem]:
    if not (config.servers or config.gateway.enabled or config.mesh.enabled):
        yield Problem("servers", "nothing would run; name a server, or enable `gateway` or `mesh`")


@rule("servers", "mesh")
def autoscaling_bounds_are_ordered(config: "StackConfig") -> Iterator[Problem]:
    for path, scaling in autoscalers(config):
        if scaling.max_replicas < scaling.min_replicas:
            allowed = f"use {scaling.min_replicas} or more, or lower minReplicas"
            yield Problem(
                f"{path}.maxReplicas", f"{scaling.max_replicas} is below minReplicas {scaling.min_replicas}; {allowed}"
            )


@rule("servers", "mesh")
def autoscaling_has_a_metric(config: "StackConfig") -> Iterator[Problem]:
    for path, scaling in autoscalers(config):
        if scaling.cpu is None and scaling.memory is None and not scaling.pod_metrics:
            yield Problem(path, "no metric to scale by; set cpu, memory or podMetrics")


@rule("servers", "mesh")
def replicas_lie_within_autoscaling(config: "StackConfig") -> Iterator[Problem]:
    owners = {f"servers.{name}": server for name, server in config.servers.items()}
    owners |= {f"mesh.agents.{name}": agent for name, agent in config.mesh.agents.items()}
    for path, owner in owners.items():
        scaling = owner.autoscaling
        if scaling is None or "replicas" not in owner.model_fields_set:
            continue
        ordered = scaling.min_replicas <= scaling.max_replicas
        if ordered and not scaling.min_replicas <= owner.replicas <= scaling.max_replicas:
            bounds = f"{scaling.min_replicas} to {scaling.max_replicas}"
            yield Problem(
                f"{path}.replicas", f"{owner.replicas} is outside the autoscaler's {bounds}; use a number within"
            )


@rule("servers")
def a_drain_can_always_evict_a_pod(config: "StackConfig") -> Iterator[Problem]:
    for name, server in config.servers.items():
        least = server.disruption.min_available
        if "min_available" in server.disruption.model_fields_set and least >= server.least_pods:
            yield Problem(
                f"servers.{name}.disruption.minAvailable",
                f"{least} of at least {server.least_pods} pods leaves none to evict, so no node could be drained; "
                f"use less than {server.least_pods}, or run more pods",
            )


@rule("servers", "redis", "mongodb", "gateway", "mesh")
def requests_stay_within_limits(config: "StackConfig") -> Iterator[Problem]:
    sized = {f"{workload.path}.resources": workload.resources for workload in workloads(config)}
    if config.gateway.enabled:
        sized["gateway.serverResources"] = config.gateway.server_resources
    for path, resources in sized.items():
        yield from _requests_above_limits(path, resources)


def _requests_above_limits(path: str, resources: "ResourcesConfig") -> Iterator[Problem]:
    for kind in ("cpu", "memory"):
        request, limit = getattr(resources.requests, kind), getattr(resources.limits, kind)
        if amount(request) > amount(limit):
            yield Problem(
                f"{path}.requests.{kind}", f"'{request}' is above the limit '{limit}'; lower it, or raise limits.{kind}"
            )


@rule("servers", "mesh")
def a_node_port_is_used_once(config: "StackConfig") -> Iterator[Problem]:
    taken: dict[int, str] = {}
    given = {f"servers.{name}.nodePort": server.node_port for name, server in config.servers.items()}
    if config.mesh.enabled:
        given["mesh.registry.nodePort"] = config.mesh.registry.node_port
    for path, port in given.items():
        if port is not None and port in taken:
            yield Problem(path, f"{port} is taken by {taken[port]}; use another port from 30000 to 32767")
        elif port is not None:
            taken[port] = path


@rule("servers", "gateway", "mesh", "serviceMesh")
def no_port_belongs_to_the_mesh_proxy(config: "StackConfig") -> Iterator[Problem]:
    reserved = _PROXY_PORTS.get(config.service_mesh.kind, frozenset())
    given = {f"servers.{name}.port": server.listen_port for name, server in config.servers.items()}
    given |= {f"mesh.agents.{name}.port": agent.port for name, agent in config.mesh.agents.items()}
    given |= {"gateway.port": config.gateway.port, "mesh.registry.port": config.mesh.registry.port}
    for path, port in given.items():
        if port in reserved:
            yield Problem(path, f"{port} is a port of the {config.service_mesh.kind} sidecar; use another")


@rule("servers")
def toolsets_are_listed_once_and_not_empty(config: "StackConfig") -> Iterator[Problem]:
    for name, server in config.servers.items():
        path = f"servers.{name}.toolsets"
        if not server.toolsets:
            yield Problem(path, "an empty list serves nothing; use at least one of war, map, documents, search")
        for toolset, times in Counter(server.toolsets).items():
            if times > 1:
                yield Problem(path, f"'{toolset}' is listed {times} times; list it once")


@rule("servers", "network")
def toolsets_that_call_the_web_may(config: "StackConfig") -> Iterator[Problem]:
    if config.network.enabled and not config.network.egress_https:
        for name, server in config.servers.items():
            for toolset in server.toolsets:
                if toolset in _NEEDS_HTTPS:
                    yield Problem(
                        f"servers.{name}.toolsets",
                        f"'{toolset}' calls HTTPS services, but network.egressHttps is false; allow it, or drop it",
                    )


@rule("servers", "gateway", "mesh")
def a_variable_has_one_source(config: "StackConfig") -> Iterator[Problem]:
    for path, plain, secret in environments(config):
        for name in sorted(plain.keys() & secret.keys()):
            yield Problem(f"{path}.environment.{name}", "is in secretEnvironment too; keep one of them")


@rule("servers", "gateway", "mesh")
def secret_looking_variables_are_secrets(config: "StackConfig") -> Iterator[Problem]:
    for path, plain, _ in environments(config):
        for name in plain:
            if name.upper().endswith(_SECRET_ENDINGS):
                yield Problem(
                    f"{path}.environment.{name}",
                    "looks like a secret, and would be readable in the cluster; name it in secretEnvironment instead",
                )


@rule("servers")
def variables_of_the_platform_are_left_to_it(config: "StackConfig") -> Iterator[Problem]:
    for name, server in config.servers.items():
        for variable in server.environment.keys() | server.secret_environment.keys():
            owner = f"servers.{name}.{_OWNED_VARIABLES[variable]}" if variable in _OWNED_VARIABLES else None
            owner = owner or _STACK_VARIABLES.get(variable)
            if owner is not None:
                source = "environment" if variable in server.environment else "secretEnvironment"
                yield Problem(f"servers.{name}.{source}.{variable}", f"is set by the platform; use {owner} instead")


@rule("servers", "gateway", "mesh")
def named_secrets_are_set(config: "StackConfig") -> Iterator[Problem]:
    for path, key in named_secrets(config):
        if key not in config.secrets:
            what = "the platform's secret" if key in FIXED_SECRETS else "the secret"
            yield Problem(path, f"{what} '{key}' is not set; {how_to_set(key)}")

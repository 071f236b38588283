"""Rules about the gateway, the mesh and its agents."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from infra.config.describe import suggestion
from infra.config.errors import Problem
from infra.config.rules.parts import package_registries
from infra.config.rules.registry import rule

if TYPE_CHECKING:
    from infra.config.stack import StackConfig

_PERMISSIONS: Final = {
    "npx": ("allow_npx", "allowNpx"),
    "uv": ("allow_uv", "allowUv"),
    "image": ("allow_custom_images", "allowCustomImages"),
}
_PARTS: Final = frozenset({"redis", "mongodb", "gateway", "registry", "operator"})
_NEEDS: Final = {"npx": "package", "uv": "package", "image": "image", "remote": "url"}


@rule("gateway")
def servers_are_of_an_allowed_type(config: "StackConfig") -> Iterator[Problem]:
    security = config.gateway.security
    for name, server in config.gateway.servers.items():
        permission = _PERMISSIONS.get(server.type or "")
        if server.enabled and permission is not None and not getattr(security, permission[0]):
            yield Problem(
                f"gateway.servers.{name}.type",
                f"'{server.type}' is not allowed by gateway.security.{permission[1]}; allow it, or disable the server",
            )


@rule("gateway")
def servers_say_what_they_run(config: "StackConfig") -> Iterator[Problem]:
    for name, server in config.gateway.servers.items():
        path = f"gateway.servers.{name}"
        needed = _NEEDS.get(server.type or "")
        if needed is not None and getattr(server, needed) is None:
            yield Problem(f"{path}.{needed}", f"missing; type {server.type} needs it")
        if server.template is not None and server.type is not None:
            yield Problem(f"{path}.template", f"'{server.template}' has a type of its own; remove template or type")
        for given in sorted({"package", "image", "url"} - {needed}):
            if server.type is not None and getattr(server, given) is not None:
                yield Problem(f"{path}.{given}", f"has no meaning with type {server.type}; remove it")


@rule("gateway")
def external_servers_make_different_pods(config: "StackConfig") -> Iterator[Problem]:
    taken: dict[str, str] = {}
    for name in config.gateway.servers:
        pod = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower())
        if pod in taken:
            yield Problem(
                f"gateway.servers.{name}",
                f"would make the same pods as gateway.servers.{taken[pod]} ('{pod}'); rename one",
            )
        taken.setdefault(pod, name)


@rule("gateway")
def a_registry_is_listed_once(config: "StackConfig") -> Iterator[Problem]:
    taken: dict[tuple[str, str], str] = {}
    for path, registry in package_registries(config):
        ecosystem, _, _ = path.rpartition("[")
        # With and without a slash at its end, it is the same registry.
        first = taken.setdefault((ecosystem, registry.url.rstrip("/")), path)
        if first != path:
            yield Problem(f"{path}.url", f"'{registry.url}' is that of {first} too; list it once")


@rule("gateway")
def a_package_of_npm_comes_from_one_registry(config: "StackConfig") -> Iterator[Problem]:
    taken: dict[str, str] = {}
    for index, registry in enumerate(config.gateway.registries.npm):
        path = f"gateway.registries.npm[{index}]"
        if not registry.scopes and taken.setdefault("", path) != path:
            yield Problem(f"{path}.scopes", f"missing; {taken['']} already has the packages of no scope")
        for place, scope in enumerate(registry.scopes):
            here = f"{path}.scopes[{place}]"
            if scope in taken:
                yield Problem(here, f"'{scope}' comes from {taken[scope]} already; keep one of them")
            taken.setdefault(scope, here)


@rule("gateway")
def a_user_of_a_registry_has_a_token(config: "StackConfig") -> Iterator[Problem]:
    for path, registry in package_registries(config):
        if registry.username is not None and registry.token_secret is None:
            yield Problem(
                f"{path}.username",
                f"'{registry.username}' has no token; name it in tokenSecret, or remove username",
            )


@rule("mesh")
def dependencies_are_capabilities(config: "StackConfig") -> Iterator[Problem]:
    known = sorted({capability.name for agent in config.mesh.agents.values() for capability in agent.capabilities})
    for name, agent in config.mesh.agents.items():
        for index, dependency in enumerate(agent.dependencies):
            if dependency not in known:
                near = suggestion(dependency, known) or f"; known are: {', '.join(known) or 'none'}"
                yield Problem(
                    f"mesh.agents.{name}.dependencies[{index}]", f"no agent has the capability '{dependency}'{near}"
                )


@rule("mesh")
def an_agent_lists_a_capability_once(config: "StackConfig") -> Iterator[Problem]:
    for name, agent in config.mesh.agents.items():
        seen: set[str] = set()
        for index, capability in enumerate(agent.capabilities):
            if capability.name in seen:
                yield Problem(
                    f"mesh.agents.{name}.capabilities[{index}].name",
                    f"'{capability.name}' is listed twice; list it once",
                )
            seen.add(capability.name)


@rule("mesh", "serviceMesh")
def a_capability_route_leads_to_one_agent(config: "StackConfig") -> Iterator[Problem]:
    if config.service_mesh.kind != "istio" or not config.service_mesh.capability_routes:
        return
    owners: dict[str, str] = {}
    for name, agent in config.mesh.agents.items():
        for index, capability in enumerate(agent.capabilities):
            if owners.setdefault(capability.name, name) != name:
                yield Problem(
                    f"mesh.agents.{name}.capabilities[{index}].name",
                    f"'{capability.name}' is routed to agent {owners[capability.name]} already; "
                    "rename it, or use serviceMesh.capabilityRoutes: false",
                )


@rule("servers", "mesh")
def agents_and_servers_have_different_names(config: "StackConfig") -> Iterator[Problem]:
    for name in config.mesh.agents:
        if config.mesh.enabled and name in config.servers:
            yield Problem(f"mesh.agents.{name}", "a server has this name too; rename one, for both name their Services")


@rule("servers", "mesh")
def names_of_the_platforms_parts_are_left_to_them(config: "StackConfig") -> Iterator[Problem]:
    paths = [*(("servers", name) for name in config.servers), *(("mesh.agents", name) for name in config.mesh.agents)]
    for path, name in paths:
        if name in _PARTS:
            yield Problem(f"{path}.{name}", f"'{name}' is the name of a part of the platform; use another")

"""What several rules look at: every workload of a stack, every host, every image."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.config.common import AutoscalingConfig, ResourcesConfig
    from infra.config.gateway import PackageRegistryConfig
    from infra.config.stack import StackConfig


@dataclass(frozen=True)
class Workload:
    """Pods of one kind: where they are configured, how many there are at least, what each asks for."""

    path: str
    least_pods: int
    resources: "ResourcesConfig"
    volumes: int = 0


def workloads(config: "StackConfig") -> Iterator[Workload]:
    """Everything that a stack runs by itself."""
    for name, server in config.servers.items():
        yield Workload(f"servers.{name}", server.least_pods, server.resources)
    redis, mongodb, gateway, mesh = config.redis, config.mongodb, config.gateway, config.mesh
    if redis.mode != "none":
        # In Sentinel mode every Redis pod has a sentinel of the same size.
        pods = redis.replicas if redis.mode == "sentinel" else 1
        sentinels = redis.replicas if redis.mode == "sentinel" else 0
        yield Workload("redis", pods + sentinels, redis.resources, pods if redis.persistence else 0)
    if mongodb.enabled:
        members = mongodb.replica_set.members if mongodb.replica_set else 1
        yield Workload("mongodb", members, mongodb.resources, members)
    if gateway.enabled:
        yield Workload("gateway", gateway.replicas, gateway.resources)
    if mesh.enabled:
        registry = mesh.registry
        yield Workload("mesh.registry", registry.replicas, registry.resources, registry.replicas)
        for name, agent in mesh.agents.items():
            yield Workload(f"mesh.agents.{name}", agent.least_pods, agent.resources)


def autoscalers(config: "StackConfig") -> "Iterator[tuple[str, AutoscalingConfig]]":
    """Every autoscaler, with its path."""
    owners = {f"servers.{name}": server.autoscaling for name, server in config.servers.items()}
    owners |= {f"mesh.agents.{name}": agent.autoscaling for name, agent in config.mesh.agents.items()}
    for path, autoscaling in owners.items():
        if autoscaling is not None:
            yield f"{path}.autoscaling", autoscaling


def environments(config: "StackConfig") -> Iterator[tuple[str, Mapping[str, str], Mapping[str, str]]]:
    """Every pair of `environment` and `secretEnvironment`, with the path of their owner."""
    for name, server in config.servers.items():
        yield f"servers.{name}", server.environment, server.secret_environment
    for name, external in config.gateway.servers.items():
        yield f"gateway.servers.{name}", external.environment, external.secret_environment
    for name, agent in config.mesh.agents.items():
        yield f"mesh.agents.{name}", agent.environment, agent.secret_environment


def package_registries(config: "StackConfig") -> "Iterator[tuple[str, PackageRegistryConfig]]":
    """Every private registry of packages, with its path."""
    for ecosystem in ("npm", "pypi"):
        for index, registry in enumerate(getattr(config.gateway.registries, ecosystem)):
            yield f"gateway.registries.{ecosystem}[{index}]", registry


def named_secrets(config: "StackConfig") -> Iterator[tuple[str, str]]:
    """Every key under `slipway:secrets` that something names, with the path that names it."""
    for path, _, secret in environments(config):
        for variable, key in secret.items():
            yield f"{path}.secretEnvironment.{variable}", key
    for path, registry in package_registries(config):
        if registry.token_secret is not None:
            yield f"{path}.tokenSecret", registry.token_secret


def hosts(config: "StackConfig") -> Iterator[tuple[str, str]]:
    """Every host name that a stack claims, with its path."""
    given = {"exposure.host": config.exposure.host, "gateway.host": config.gateway.host}
    given |= {f"servers.{name}.host": server.host for name, server in config.servers.items()}
    if config.mongodb.admin is not None:
        given["mongodb.admin.host"] = config.mongodb.admin.host
    yield from ((path, host) for path, host in given.items() if host is not None)


def third_party_images(config: "StackConfig") -> Iterator[tuple[str, str | None]]:
    """The images of others that a stack runs, with their paths. None means the platform's default, a tag."""
    redis, mongodb, gateway = config.redis, config.mongodb, config.gateway
    if redis.mode != "none":
        yield "redis.image", redis.image
        if redis.mode == "sentinel" and redis.client_access == "service":
            yield "redis.proxyImage", redis.proxy_image
    if mongodb.enabled:
        yield "mongodb.image", mongodb.image
        if mongodb.admin is not None:
            yield "mongodb.admin.image", mongodb.admin.image
    if gateway.enabled:
        if any(server.enabled and server.type == "archon" for server in gateway.servers.values()):
            yield "gateway.archonImage", gateway.archon_image
        for name, server in gateway.servers.items():
            if server.enabled and server.image is not None:
                yield f"gateway.servers.{name}.image", server.image
    if config.mesh.enabled:
        for name, agent in config.mesh.agents.items():
            if agent.image is not None:
                yield f"mesh.agents.{name}.image", agent.image

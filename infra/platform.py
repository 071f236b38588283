"""The platform: the root component, which composes the others in the order of their dependencies."""

from dataclasses import dataclass
from typing import Self

import pulumi

from infra import topology
from infra.component import Component
from infra.components.app_secrets import AppSecrets, AppSecretsArgs
from infra.components.exposure import Exposure, Route
from infra.components.gateway import Gateway
from infra.components.mcp_server import McpServer
from infra.components.mesh import Agent, AgentDefinition, Operator, Registry
from infra.components.mongodb import Mongodb
from infra.components.namespace_guard import NamespaceGuard
from infra.components.network import Network, NetworkArgs
from infra.components.observability import Observability
from infra.components.redis import Redis
from infra.components.service_mesh import ServiceMesh
from infra.components.tls import Tls
from infra.config import StackConfig
from infra.exposure import service_annotations
from infra.translate import edge, mesh, observability, servers, stores

REDIS = "redis"
MONGODB = "mongodb"
GATEWAY = "gateway"
REGISTRY = "registry"
OPERATOR = "operator"
EXPOSURE = "exposure"


@dataclass(frozen=True, kw_only=True)
class PlatformArgs:
    """A checked configuration, and the image that every role of it runs."""

    config: StackConfig
    image: pulumi.Input[str]

    @classmethod
    def from_config(cls, config: StackConfig, *, image: pulumi.Input[str]) -> Self:
        return cls(config=config, image=image)


class Platform(Component):
    """One stack, whole. Its attributes are its parts; those that the configuration leaves out are None or empty."""

    def __init__(self, name: str, args: PlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("platform", "Platform", name, opts)
        config = args.config
        inside = self.child_options()
        guarded = edge.namespace_args(config.namespace, config.service_mesh, protect=config.protect)
        self.guard = NamespaceGuard("namespace", guarded, inside)
        self.namespace = self.guard.namespace
        self._stores(config)
        around = self._surroundings(args)
        self.servers = {
            server: McpServer(server, servers.server_args(given, around, edge.public_host(config, given.host)), inside)
            for server, given in config.servers.items()
        }
        self.gateway = (
            Gateway(GATEWAY, servers.gateway_args(config.gateway, around, config.secrets), inside)
            if config.gateway.enabled
            else None
        )
        self._mesh(config, around)
        self._edge(config)
        self.network = (
            Network("network", NetworkArgs(namespace=self.namespace, edges=topology.edges(self, config)), inside)
            if config.network.enabled
            else None
        )
        self._surveillance(config)
        self.finish(
            {
                # What the policies must know to judge: how strictly, and which Secrets are somebody else's.
                "environment": config.environment,
                "existing_secrets": topology.existing_secrets(config),
                "namespace": self.namespace,
                "urls": self.exposure.urls,
            }
        )

    def _stores(self, config: StackConfig) -> None:
        redis = stores.redis_args(config.redis, config.secrets, namespace=self.namespace, protect=config.protect)
        mongodb = stores.mongodb_args(config.mongodb, config.secrets, namespace=self.namespace, protect=config.protect)
        self.redis = None if redis is None else Redis(REDIS, redis, self.child_options())
        self.mongodb = None if mongodb is None else Mongodb(MONGODB, mongodb, self.child_options())

    def _surroundings(self, args: PlatformArgs) -> servers.Surroundings:
        config = args.config
        wanted = topology.secrets_of_servers(config)
        secrets = AppSecrets(
            "app",
            AppSecretsArgs(
                namespace=self.namespace,
                bearer_tokens=config.secrets.get("bearerTokens"),
                request_state_key=config.secrets.get("requestStateKey"),
                values={key: config.secrets.require(key) for key in wanted},
            ),
            self.child_options(),
        )
        wishes = edge.exposure_args(config.exposure, namespace=self.namespace, routes=(), tls_secret=None).wishes
        return servers.Surroundings(
            namespace=self.namespace,
            image=args.image,
            pull_secret=config.image.pull_secret,
            secrets=secrets,
            redis_url=None if self.redis is None else self.redis.url,
            mongodb_uri=None if self.mongodb is None else self.mongodb.uri,
            observability=config.observability,
            service_annotations=service_annotations(
                config.exposure.profile, wishes, name=EXPOSURE, namespace=config.namespace.name
            ),
        )

    def _mesh(self, config: StackConfig, around: servers.Surroundings) -> None:
        self.registry: Registry | None = None
        self.operator: Operator | None = None
        self.agents: dict[str, Agent] = {}
        if not config.mesh.enabled:
            return
        inside = self.child_options()
        registry = Registry(REGISTRY, mesh.registry_args(config.mesh.registry, around, protect=config.protect), inside)
        self.registry = registry
        self.agents = {
            agent: Agent(agent, mesh.agent_args(given, around, registry_url=registry.url), inside)
            for agent, given in config.mesh.agents.items()
        }
        if config.mesh.operator:
            self.operator = Operator(OPERATOR, mesh.operator_args(around, registry_url=registry.url), inside)
        if config.mesh.crd:
            AgentDefinition("mcpagents", inside, operator=self.operator)

    def _edge(self, config: StackConfig) -> None:
        routes = self._routes(config)
        hosts = topology.public_hosts(config)
        tls = edge.tls_args(config.tls, config.exposure, namespace=self.namespace, hosts=hosts)
        self.tls = None if tls is None else Tls("tls", tls, self.child_options())
        secret = None if self.tls is None else self.tls.secret_name
        given = edge.exposure_args(config.exposure, namespace=self.namespace, routes=routes, tls_secret=secret)
        self.exposure = Exposure(EXPOSURE, given, self.child_options())

    def _routes(self, config: StackConfig) -> tuple[Route, ...]:
        routes = [
            Route(
                name=server,
                service=self.servers[server].service_name,
                host=given.host,
                path=given.path,
                node_port=given.node_port,
            )
            for server, given in config.servers.items()
            if given.exposed
        ]
        gateway = config.gateway
        if self.gateway is not None and gateway.exposed:
            routes.append(Route(name=GATEWAY, service=self.gateway.service_name, host=gateway.host, path=gateway.path))
        admin = config.mongodb.admin
        if self.mongodb is not None and admin is not None and admin.host is not None:
            service = self.mongodb.admin_service_name
            if service is not None:
                routes.append(
                    Route(name="mongodb-admin", service=service, host=admin.host, allow_from=admin.allow_from)
                )
        return tuple(routes)

    def _surveillance(self, config: StackConfig) -> None:
        inside = self.child_options()
        watched = observability.observability_args(self, config)
        self.observability = None if watched is None else Observability("observability", watched, inside)
        services = tuple(topology.mesh_services(config))
        given = mesh.service_mesh_args(config.service_mesh, config.mesh, namespace=self.namespace, services=services)
        self.service_mesh = None if given is None else ServiceMesh("service-mesh", given, inside)

"""What each MCP server, and the gateway, is given."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from infra.components.app_secrets import AppSecrets
from infra.components.gateway import ExternalServer, GatewayArgs, GatewaySecurity, PackageRegistries, PackageRegistry
from infra.components.mcp_server import McpServerArgs
from infra.config.gateway import GatewayConfig, GatewayServerConfig, PackageRegistriesConfig, PackageRegistryConfig
from infra.config.network import ObservabilityConfig
from infra.config.secrets import Secrets
from infra.config.servers import ServerConfig
from infra.pods import SecretKey
from infra.translate.common import http_port, resources, scaling, secret_environment


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What every program of the stack shares. Stores are None where the stack has none."""

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    pull_secret: str | None
    secrets: AppSecrets
    redis_url: SecretKey | None
    mongodb_uri: SecretKey | None
    observability: ObservabilityConfig
    service_annotations: Mapping[str, str]


def observed(config: ObservabilityConfig) -> dict[str, pulumi.Input[str]]:
    """Variables that say what is logged and where spans go."""
    environment: dict[str, pulumi.Input[str]] = {"MCP_LOG_LEVEL": config.log_level}
    if config.traces is not None:
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = config.traces.endpoint
    return environment


def server_args(config: ServerConfig, around: Surroundings, public_host: str | None) -> McpServerArgs:
    return McpServerArgs(
        namespace=around.namespace,
        image=around.image,
        transport=config.transport,
        port=http_port(config.listen_port),
        toolsets=config.toolsets,
        replicas=config.replicas,
        workers=config.workers,
        resources=resources(config.resources),
        scaling=scaling(config.autoscaling),
        affinity_seconds=config.affinity.timeout_seconds if config.affinity.enabled else None,
        node_port=config.node_port,
        min_available=config.disruption.min_available,
        drain_seconds=config.drain_seconds,
        request_budget_seconds=config.request_budget_seconds,
        environment={
            **observed(around.observability),
            **config.environment,
        },
        secret_environment=secret_environment(config.secret_environment, around.secrets),
        redis_url=around.redis_url if config.use_redis else None,
        mongodb_uri=around.mongodb_uri if config.use_mongodb else None,
        bearer_tokens=around.secrets.bearer_tokens,
        request_state_key=around.secrets.request_state_key,
        access=config.rbac,
        anti_affinity=config.anti_affinity,
        prometheus=around.observability.annotations,
        pull_secret=around.pull_secret,
        # Clients reach a NodePort by whatever name a node has.
        hosts=() if config.node_port or public_host is None else (public_host,),
        service_annotations=around.service_annotations,
    )


def _external(config: GatewayServerConfig, secrets: Secrets) -> ExternalServer:
    return ExternalServer(
        enabled=config.enabled,
        template=config.template,
        type=config.type,
        transport=config.transport,
        package=config.package,
        version=config.version,
        image=config.image,
        url=config.url,
        port=config.port,
        allowed_paths=config.allowed_paths,
        args=config.args,
        environment=config.environment,
        secret_environment={variable: secrets.require(key) for variable, key in config.secret_environment.items()},
    )


def _registries(config: PackageRegistriesConfig, secrets: Secrets) -> PackageRegistries:
    def token(registry: PackageRegistryConfig) -> pulumi.Output[str] | None:
        return None if registry.token_secret is None else secrets.require(registry.token_secret)

    return PackageRegistries(
        npm=tuple(
            PackageRegistry(url=given.url, scopes=given.scopes, username=given.username, token=token(given))
            for given in config.npm
        ),
        pypi=tuple(
            PackageRegistry(url=given.url, username=given.username, token=token(given)) for given in config.pypi
        ),
    )


def gateway_args(config: GatewayConfig, around: Surroundings, secrets: Secrets) -> GatewayArgs:
    return GatewayArgs(
        namespace=around.namespace,
        image=around.image,
        port=http_port(config.port),
        replicas=config.replicas,
        archon_image=config.archon_image,
        servers={server: _external(given, secrets) for server, given in config.servers.items()},
        security=GatewaySecurity(
            allow_npx=config.security.allow_npx,
            allow_uv=config.security.allow_uv,
            allow_custom_images=config.security.allow_custom_images,
            internet_access=config.security.internet_access,
        ),
        server_resources=resources(config.server_resources),
        resources=resources(config.resources),
        allow=config.allow,
        block=config.block,
        verify=config.verify,
        registries=_registries(config.registries, secrets),
        drain_seconds=config.drain_seconds,
        request_budget_seconds=config.request_budget_seconds,
        environment=observed(around.observability),
        redis_url=around.redis_url,
        mongodb_uri=around.mongodb_uri,
        bearer_tokens=around.secrets.bearer_tokens,
        request_state_key=around.secrets.request_state_key,
        prometheus=around.observability.annotations,
        pull_secret=around.pull_secret,
    )

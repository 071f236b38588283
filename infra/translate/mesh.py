"""What the registry, agents, operator and service mesh are given."""

import pulumi

from infra.components.mesh import AgentArgs, Capability, OperatorArgs, RegistryArgs
from infra.components.service_mesh import OutlierDetection, RetryBudget, ServiceMeshArgs
from infra.config.mesh import AgentConfig, MeshConfig, RegistryConfig, ServiceMeshConfig
from infra.translate.common import http_port, resources, scaling, secret_environment, storage
from infra.translate.servers import Surroundings, observed


def registry_args(config: RegistryConfig, around: Surroundings, *, protect: bool) -> RegistryArgs:
    return RegistryArgs(
        namespace=around.namespace,
        image=around.image,
        replicas=config.replicas,
        storage=storage(config.storage),
        port=http_port(config.port),
        node_port=config.node_port,
        resources=resources(config.resources),
        redis_url=around.redis_url,
        environment=observed(around.observability),
        prometheus=around.observability.annotations,
        pull_secret=around.pull_secret,
        protect=protect,
    )


def agent_args(config: AgentConfig, around: Surroundings, *, registry_url: pulumi.Input[str]) -> AgentArgs:
    return AgentArgs(
        namespace=around.namespace,
        image=config.image or around.image,
        registry_url=registry_url,
        replicas=config.replicas,
        scaling=scaling(config.autoscaling),
        capabilities=tuple(
            Capability(name=given.name, version=given.version, timeout=given.timeout, tags=given.tags)
            for given in config.capabilities
        ),
        dependencies=config.dependencies,
        port=http_port(config.port),
        health_interval=config.health_interval,
        retry_attempts=config.retry_attempts,
        environment={**observed(around.observability), **config.environment},
        secret_environment=secret_environment(config.secret_environment, around.secrets),
        resources=resources(config.resources),
        prometheus=around.observability.annotations,
        pull_secret=around.pull_secret,
    )


def operator_args(around: Surroundings, *, registry_url: pulumi.Input[str]) -> OperatorArgs:
    return OperatorArgs(
        namespace=around.namespace,
        image=around.image,
        registry_url=registry_url,
        environment=observed(around.observability),
        prometheus=around.observability.annotations,
        pull_secret=around.pull_secret,
    )


def service_mesh_args(
    config: ServiceMeshConfig, mesh: MeshConfig, *, namespace: pulumi.Input[str], services: tuple[str, ...]
) -> ServiceMeshArgs | None:
    """None where the cluster runs no service mesh."""
    if config.kind == "none":
        return None
    routed = mesh.enabled and config.capability_routes
    return ServiceMeshArgs(
        namespace=namespace,
        kind=config.kind,
        services=services,
        capabilities={
            capability.name: agent
            for agent, given in (mesh.agents if routed else {}).items()
            for capability in given.capabilities
        },
        agents_host=config.agents_host,
        strict_mtls=config.strict_mtls,
        timeout=config.timeout,
        retry_budget=RetryBudget(
            retry_ratio=config.retry_budget.retry_ratio,
            min_retries_per_second=config.retry_budget.min_retries_per_second,
            ttl=config.retry_budget.ttl,
        ),
        outlier_detection=OutlierDetection(
            consecutive_errors=config.outlier_detection.consecutive_errors,
            interval=config.outlier_detection.interval,
            ejection_time=config.outlier_detection.ejection_time,
        ),
    )

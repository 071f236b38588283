"""The mesh: a registry, agents that find each other by capability, and the service mesh underneath."""

from typing import Annotated, Literal

from pydantic import Field

from infra import ports
from infra.config.base import Many, Model
from infra.config.common import AutoscalingConfig, ResourcesConfig, StorageConfig
from infra.config.values import (
    ContainerPort,
    Count,
    Duration,
    EnvName,
    EnvValue,
    Identifier,
    Image,
    Label,
    Memory,
    NodePort,
    Seconds,
    SecretKey,
    Version,
)


class RegistryStorageConfig(StorageConfig):
    """The volume of each registry pod."""

    size: Memory = "1Gi"
    """Size of the volume."""


class RegistryConfig(Model):
    """The registry: a StatefulSet with a volume for each replica."""

    replicas: Annotated[int, Field(ge=1, le=9)] = 3
    """Registry pods."""
    storage: RegistryStorageConfig = RegistryStorageConfig()
    """The volume of each pod."""
    port: ContainerPort = ports.REGISTRY.number
    """Port of the registry."""
    node_port: NodePort | None = None
    """Port on every node for agents outside the cluster, from 30000 to 32767; none when absent."""
    resources: ResourcesConfig = ResourcesConfig()
    """Requests and limits of the container."""


class CapabilityConfig(Model):
    """Something that an agent can do for others."""

    name: Identifier
    """What it is called, e.g. `greeting`."""
    version: Version = "1.0.0"
    """Its version, in quotes."""
    timeout: Seconds = 30
    """Seconds after which a call to it has failed."""
    tags: Many[Identifier] = ()
    """Words to find it by."""


class AgentConfig(Model):
    """One kind of agent: a Deployment that registers its capabilities."""

    replicas: Count = 1
    """Number of pods, when there is no `autoscaling`."""
    image: Image | None = None
    """Image with the agent's program; the platform's own when absent."""
    capabilities: Many[CapabilityConfig] = ()
    """What it can do."""
    dependencies: Many[Identifier] = ()
    """Capabilities of other agents that it calls."""
    port: ContainerPort = ports.AGENT.number
    """Port of the agent."""
    health_interval: Annotated[int, Field(ge=1, le=3600)] = 30
    """Seconds between heartbeats to the registry."""
    retry_attempts: Annotated[int, Field(ge=0, le=10)] = 3
    """How often a call to another agent is tried again."""
    autoscaling: AutoscalingConfig | None = None
    """Scale by load between two bounds; a fixed number of pods when absent."""
    environment: dict[EnvName, EnvValue] = Field(default_factory=dict[EnvName, EnvValue])
    """More environment variables, in plain text."""
    secret_environment: dict[EnvName, SecretKey] = Field(default_factory=dict[EnvName, SecretKey])
    """More environment variables whose values are secrets: the variable's name to the key under `slipway:secrets`."""
    resources: ResourcesConfig = ResourcesConfig()
    """Requests and limits of the container."""

    @property
    def least_pods(self) -> int:
        """The fewest pods it ever has by its own configuration."""
        return self.replicas if self.autoscaling is None else self.autoscaling.min_replicas


class MeshConfig(Model):
    """Agents that find each other by what they can do."""

    enabled: bool = False
    """Whether the stack runs a registry and agents."""
    registry: RegistryConfig = RegistryConfig()
    """The registry."""
    agents: dict[Label, AgentConfig] = Field(default_factory=dict[Label, AgentConfig])
    """The agents, by name."""
    crd: bool = True
    """Whether the stack owns the `MCPAgent` custom resource definition; once a cluster."""
    operator: bool = True
    """Whether the operator runs, which makes workloads from `MCPAgent` objects."""


class RetryBudgetConfig(Model):
    """How much traffic retries may add, so that they never become the outage."""

    retry_ratio: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Retries allowed for each original request."""
    min_retries_per_second: Annotated[int, Field(ge=0, le=10_000)] = 10
    """Retries always allowed."""
    ttl: Duration = "10s"
    """Time over which requests are counted."""


class OutlierDetectionConfig(Model):
    """When the service mesh stops sending requests to a failing pod."""

    consecutive_errors: Annotated[int, Field(ge=1, le=100)] = 5
    """Server errors in a row before a pod is set aside."""
    interval: Duration = "10s"
    """Time between checks."""
    ejection_time: Duration = "30s"
    """How long a pod is set aside."""


class ServiceMeshConfig(Model):
    """Objects for a service mesh that the cluster already has."""

    kind: Literal["none", "istio", "linkerd"] = "none"
    """Which service mesh the cluster runs."""
    strict_mtls: bool = True
    """Refuse traffic that the mesh has not encrypted."""
    agents_host: Label = "mcp-agents"
    """Host under which agents are called by the header `x-mcp-capability`."""
    capability_routes: bool = True
    """Whether that header routes a call to an agent with the capability (Istio)."""
    timeout: Duration = "30s"
    """Deadline of one call to `/mcp`."""
    retry_budget: RetryBudgetConfig = RetryBudgetConfig()
    """How much traffic retries may add (Linkerd)."""
    outlier_detection: OutlierDetectionConfig = OutlierDetectionConfig()
    """When a failing pod is set aside (Istio)."""

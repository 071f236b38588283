"""An MCP server: one Deployment with its Services, autoscaler and disruption budget."""

from typing import Annotated, Literal

from pydantic import Field

from infra import ports
from infra.config.base import Many, Model
from infra.config.common import AutoscalingConfig, ResourcesConfig
from infra.config.values import ContainerPort, Count, EnvName, EnvValue, Host, NodePort, Seconds, SecretKey, UrlPath

Toolset = Literal["war", "map", "documents", "search", "platform"]


class AffinityConfig(Model):
    """Whether one client address stays on one pod. An optimisation: any replica can serve any session."""

    enabled: bool = True
    """ClientIP affinity of the Service."""
    timeout_seconds: Annotated[int, Field(ge=1, le=86_400)] = 86_400
    """How long a client stays on its pod after its last connection."""


class DisruptionConfig(Model):
    """A PodDisruptionBudget: how many pods a node drain must leave."""

    min_available: Count = 1
    """Pods that always stay. With one pod there is no budget, for it would block every drain."""


class ServerConfig(Model):
    """One MCP server with its toolsets. A stack has any number of them."""

    transport: Literal["http", "sse", "websocket"] = "http"
    """How clients speak to it. Every transport serves `/health`, `/metrics` and the page too."""
    port: ContainerPort | None = None
    """Port of the container; 8080 for websocket and 8000 otherwise when absent."""
    toolsets: Many[Toolset] = ("war",)
    """What it can do: the toolsets whose tools it lists."""
    replicas: Count = 1
    """Number of pods, when there is no `autoscaling`."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Worker processes in each pod."""
    resources: ResourcesConfig = ResourcesConfig()
    """Requests and limits of the container."""
    autoscaling: AutoscalingConfig | None = None
    """Scale by load between two bounds; a fixed number of pods when absent."""
    affinity: AffinityConfig = AffinityConfig()
    """Whether one client address stays on one pod."""
    node_port: NodePort | None = None
    """Port on every node for clients outside the cluster, from 30000 to 32767; none when absent."""
    disruption: DisruptionConfig = DisruptionConfig()
    """How many pods a node drain must leave."""
    drain_seconds: Annotated[int, Field(ge=0, le=600)] = 15
    """How long a stopping pod still serves while load balancers learn that it goes (the preStop sleep)."""
    request_budget_seconds: Seconds = 30
    """How long a request in flight may still take after that. The grace period is derived from both."""
    environment: dict[EnvName, EnvValue] = Field(default_factory=dict[EnvName, EnvValue])
    """More environment variables, in plain text."""
    secret_environment: dict[EnvName, SecretKey] = Field(default_factory=dict[EnvName, SecretKey])
    """More environment variables whose values are secrets: the variable's name to the key under `slipway:secrets`."""
    rbac: Literal["none", "namespace", "cluster"] = "none"
    """What the pods may read from the Kubernetes API. With `none` they get no token."""
    exposed: bool = True
    """Whether `exposure` publishes it; `false` for a server used inside the cluster only."""
    host: Host | None = None
    """Host name of its own; `exposure.host` when absent."""
    path: UrlPath = "/"
    """Path under the host."""
    anti_affinity: Literal["preferred", "required", "none"] = "preferred"
    """Whether its pods avoid one another's nodes."""
    use_redis: bool = True
    """Keep sessions and state in the stack's Redis, where there is one."""
    use_mongodb: bool = True
    """Keep documents in the stack's MongoDB, where there is one."""

    @property
    def listen_port(self) -> int:
        """The port of the container: the configured one, or the transport's own."""
        if self.port is not None:
            return self.port
        return ports.WEBSOCKET.number if self.transport == "websocket" else ports.HTTP.number

    @property
    def least_pods(self) -> int:
        """The fewest pods it ever has by its own configuration."""
        return self.replicas if self.autoscaling is None else self.autoscaling.min_replicas

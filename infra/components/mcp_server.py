"""One MCP server: its pods, the Services that find them, what they may do and how many of them there are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pulumi

from infra.component import Component
from infra.components.autoscaling import Scaling
from infra.pods import Resources, SecretKey
from infra.ports import HTTP, Port

Transport = Literal["http", "sse", "websocket"]
Access = Literal["none", "namespace", "cluster"]
AntiAffinity = Literal["preferred", "required", "none"]
DAY_SECONDS = 86400


@dataclass(frozen=True, kw_only=True)
class McpServerArgs:
    """What one server is made of. Its name is the component's name."""

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    transport: Transport = "http"
    port: Port = HTTP
    toolsets: tuple[str, ...] = ()
    replicas: int = 1
    workers: int = 1
    resources: Resources = field(default_factory=Resources)
    scaling: Scaling | None = None
    # How long a client address stays with its pod; None lets every connection go anywhere.
    affinity_seconds: int | None = DAY_SECONDS
    node_port: int | None = None
    min_available: int = 1
    # The pod waits this long before SIGTERM, so that load balancers notice; then running calls have their budget.
    drain_seconds: int = 15
    request_budget_seconds: int = 30
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    secret_environment: Mapping[str, SecretKey] = field(default_factory=dict[str, SecretKey])
    redis_url: SecretKey | None = None
    mongodb_uri: SecretKey | None = None
    bearer_tokens: SecretKey | None = None
    request_state_key: SecretKey | None = None
    # What the program may read through the Kubernetes API; "none" mounts no token.
    access: Access = "none"
    anti_affinity: AntiAffinity = "preferred"
    prometheus: bool = True
    pull_secret: pulumi.Input[str] | None = None


class McpServer(Component):
    """Any number of these make a stack.

    Outputs: `service_name`, `headless_name`, `node_port_name`, `deployment`, `selector`, `port`, `url` and, for pods
    of the cluster, `endpoint` (the MCP endpoint).
    """

"""The gateway: starts external MCP servers as pods beside itself and serves all their tools under one endpoint."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pulumi

from infra import naming
from infra.component import Component
from infra.edges import Pods
from infra.pods import Resources, SecretKey
from infra.ports import GATEWAY, Port

ServerType = Literal["npx", "uv", "archon", "image", "remote"]
ServerTransport = Literal["stdio", "http", "sse", "websocket"]


@dataclass(frozen=True, kw_only=True)
class ExternalServer:
    """One declared server: from a template, a package, an image or a URL. What is None, its template decides."""

    enabled: bool = True
    template: str | None = None
    type: ServerType | None = None
    transport: ServerTransport | None = None
    package: str | None = None
    version: str | None = None
    image: str | None = None
    url: str | None = None
    port: int | None = None
    allowed_paths: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    # Values that end in a Secret, which the gateway and the server's pod read by name.
    secret_environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])


@dataclass(frozen=True, kw_only=True)
class GatewaySecurity:
    """What may be started at all."""

    allow_npx: bool = True
    allow_uv: bool = True
    allow_custom_images: bool = False
    internet_access: bool = True


@dataclass(frozen=True, kw_only=True)
class GatewayArgs:
    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    port: Port = GATEWAY
    replicas: int = 1
    # The image of servers of type `archon`.
    archon_image: pulumi.Input[str] = "archon-mcp:latest"
    servers: Mapping[str, ExternalServer] = field(default_factory=dict[str, ExternalServer])
    security: GatewaySecurity = field(default_factory=GatewaySecurity)
    # Requests and limits of each external server, and of the gateway itself.
    server_resources: Resources = field(default_factory=Resources)
    resources: Resources = field(default_factory=Resources)
    # Packages that may and may not run, as patterns with an optional version range. No `allow` allows all.
    allow: tuple[str, ...] = ()
    block: tuple[str, ...] = ()
    drain_seconds: int = 15
    request_budget_seconds: int = 30
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    redis_url: SecretKey | None = None
    mongodb_uri: SecretKey | None = None
    bearer_tokens: SecretKey | None = None
    request_state_key: SecretKey | None = None
    prometheus: bool = True
    pull_secret: pulumi.Input[str] | None = None


class Gateway(Component):
    """The gateway and what it may do in its namespace.

    Outputs: `service_name`, `endpoint`. `pods` are the gateway's, `server_pods` the ones it starts, and
    `internet_pods` those of them that may call services outside the cluster.
    """

    service_name: pulumi.Output[str]
    endpoint: pulumi.Output[str]

    def __init__(self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway", "Gateway", name, opts)
        self.selector = naming.selector(name, "gateway")
        self.port = args.port
        self.pods = Pods(name=name, selector=self.selector)
        servers = naming.child(name, "servers")
        self.server_pods = Pods(name=servers, selector=naming.selector(servers, "external-server"))
        self.internet_pods = Pods(
            name=naming.child(servers, "internet"),
            selector={**self.server_pods.selector, "slipway.dev/internet": "true"},
        )
        self.finish({})

"""What a gateway is made of, and the servers it is told to run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pulumi

from infra.pods import Resources, SecretKey
from infra.ports import GATEWAY, Port

ServerType = Literal["npx", "uv", "archon", "image", "remote"]
Verification = Literal["off", "warn", "require"]
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
class PackageRegistry:
    """One private registry. `scopes` are of npm alone."""

    url: str
    scopes: tuple[str, ...] = ()
    username: str | None = None
    # It ends in a Secret, which the gateway and the pods of packages read by name.
    token: pulumi.Input[str] | None = None


@dataclass(frozen=True, kw_only=True)
class PackageRegistries:
    """Where packages come from, instead of the public registries."""

    npm: tuple[PackageRegistry, ...] = ()
    pypi: tuple[PackageRegistry, ...] = ()


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
    # Whether signatures of packages are verified, and whether one without runs.
    verify: Verification = "off"
    registries: PackageRegistries = field(default_factory=PackageRegistries)
    # How long a client address stays with its pod; None lets every connection go anywhere.
    affinity_seconds: int | None = 86400
    drain_seconds: int = 15
    request_budget_seconds: int = 30
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    redis_url: SecretKey | None = None
    mongodb_uri: SecretKey | None = None
    bearer_tokens: SecretKey | None = None
    request_state_key: SecretKey | None = None
    prometheus: bool = True
    pull_secret: pulumi.Input[str] | None = None

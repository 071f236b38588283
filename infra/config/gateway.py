"""The gateway: external MCP servers, started on demand and served as one."""

from typing import Annotated, Literal

from pydantic import Field

from infra import ports
from infra.config.base import Many, Model
from infra.config.common import ResourcesConfig
from infra.config.values import (
    AbsolutePath,
    ContainerPort,
    Count,
    EnvName,
    EnvValue,
    Host,
    Identifier,
    Image,
    PackageName,
    PackageVersion,
    RegistryUrl,
    RegistryUser,
    Scope,
    Seconds,
    SecretKey,
    Url,
    UrlPath,
)

ServerType = Literal["npx", "uv", "archon", "image", "remote"]


class GatewayServerConfig(Model):
    """One external server: from a template, a package, an image or a URL. Its key names it, e.g. `braveSearch`."""

    enabled: bool = True
    """Whether it is started."""
    template: Identifier | None = None
    """Template it is made from; with no `type` either, the one of its own name (`braveSearch`: `brave-search`)."""
    type: ServerType | None = None
    """`npx` (npm), `uv` (PyPI), `archon` (`archonImage`), `image` (your own) or `remote` (a URL)."""
    transport: Literal["stdio", "http", "sse", "websocket"] | None = None
    """How the gateway speaks to it; the usual one of its template or type when absent."""
    package: PackageName | None = None
    """Package to run, with type `npx` or `uv`, e.g. `@modelcontextprotocol/server-brave-search`."""
    version: PackageVersion | None = None
    """Version of the package; the newest that the package policy allows when absent."""
    image: Image | None = None
    """Image to run, with type `image`."""
    url: Url | None = None
    """Address of the server, with type `remote`."""
    port: ContainerPort | None = None
    """Port that it listens on, for transports other than stdio."""
    allowed_paths: Many[AbsolutePath] = ()
    """Directories that a filesystem server may touch."""
    args: Many[str] = ()
    """More arguments. They never become shell text."""
    environment: dict[EnvName, EnvValue] = Field(default_factory=dict[EnvName, EnvValue])
    """Environment variables, in plain text."""
    secret_environment: dict[EnvName, SecretKey] = Field(default_factory=dict[EnvName, SecretKey])
    """Environment variables whose values are secrets: the variable's name to the key under `slipway:secrets`."""


class GatewaySecurityConfig(Model):
    """What may be started at all."""

    allow_npx: bool = True
    """Packages from npm."""
    allow_uv: bool = True
    """Packages from PyPI."""
    allow_custom_images: bool = False
    """Images other than our own."""
    internet_access: bool = True
    """Whether started servers may call services outside the cluster."""


class PackageRegistryConfig(Model):
    """One private registry of packages."""

    url: RegistryUrl
    """Its address, without user and password."""
    username: RegistryUser | None = None
    """User that the token is the password of; without one, npm sends a bearer token, PyPI the user `__token__`."""
    token_secret: SecretKey | None = None
    """The key of its token or password under `slipway:secrets`; it is asked without one when absent."""


class NpmRegistryConfig(PackageRegistryConfig):
    """One private registry of npm packages."""

    scopes: Many[Scope] = ()
    """Scopes that come from there, e.g. `@acme`; when empty, every package whose scope is not listed elsewhere."""


class PackageRegistriesConfig(Model):
    """Where packages come from, instead of npm's and PyPI's own registries."""

    npm: Many[NpmRegistryConfig] = ()
    """Registries of npm packages, by scope."""
    pypi: Many[PackageRegistryConfig] = ()
    """Registries of PyPI packages, asked in this order and no others; the first that has a package is used."""


class GatewayConfig(Model):
    """External MCP servers as pods beside the gateway, served under one endpoint."""

    enabled: bool = False
    """Whether the stack runs a gateway."""
    port: ContainerPort = ports.GATEWAY.number
    """Port of the gateway."""
    replicas: Count = 1
    """Gateway pods."""
    archon_image: Image = "archon-mcp:latest"
    """Image of servers of type `archon`, `npx` and `uv`, with Node and uv: `--target bridge` (`ARCHON_MCP_IMAGE`)."""
    servers: dict[Identifier, GatewayServerConfig] = Field(default_factory=dict[Identifier, GatewayServerConfig])
    """The external servers, by name."""
    security: GatewaySecurityConfig = GatewaySecurityConfig()
    """What may be started at all."""
    server_resources: ResourcesConfig = ResourcesConfig()
    """Requests and limits of each external server."""
    resources: ResourcesConfig = ResourcesConfig()
    """Requests and limits of the gateway itself."""
    allow: Many[str] = ()
    """Packages that may run, as patterns with an optional version range; all when empty."""
    block: Many[str] = ()
    """Packages that may not run; stronger than `allow`."""
    verify: Literal["off", "warn", "require"] = "off"
    """Whether signatures and attestations of packages are verified, and whether one runs that has none."""
    registries: PackageRegistriesConfig = PackageRegistriesConfig()
    """Private registries that packages come from."""
    exposed: bool = True
    """Whether `exposure` publishes the gateway."""
    host: Host | None = None
    """Host name of its own; `exposure.host` when absent."""
    path: UrlPath = "/"
    """Path under the host."""
    drain_seconds: Annotated[int, Field(ge=0, le=600)] = 15
    """How long a stopping gateway still serves while load balancers learn that it goes."""
    request_budget_seconds: Seconds = 30
    """How long a call in flight may still take after that."""

"""Every environment variable of the program, typed, in one place; nothing else reads the environment."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from app._settings_checks import SettingsError, misspelt, refused, unreadable
from app._settings_gateway import GatewaySettings
from app._settings_mesh import MeshSettings
from app._settings_packages import PackageSettings
from app._settings_tools import ToolSettings
from app._settings_types import (
    LogFormat,
    LogLevel,
    MongoUri,
    Names,
    OptionalHttpUrl,
    OptionalPath,
    OptionalText,
    RedisUrl,
    Seconds,
    Secrets,
    Transport,
    env,
    long_enough,
)

CHILD_PREFIX = "SLIPWAY_CHILD_"
"""Variables that begin so are for the children of `slipway bridge`, which see them without it."""


class Settings(ToolSettings, MeshSettings, GatewaySettings, PackageSettings):
    """What the environment says. A field's alias names its variable, its description says what is right."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    # What is served, and where.
    transport: Transport = Field(
        "stdio", validation_alias=env("MCP_TRANSPORT"), description="one of stdio, http, sse, websocket"
    )
    host: str = Field("127.0.0.1", min_length=1, validation_alias=env("MCP_HOST"), description="an address to bind")
    port: int = Field(8000, ge=0, le=65_535, validation_alias=env("MCP_PORT"), description="0 (any free port) to 65535")
    workers: int = Field(1, ge=1, le=64, validation_alias=env("MCP_WORKERS"), description="how many processes, 1 to 64")
    toolsets: Names = Field(
        ("platform",), min_length=1, validation_alias=env("MCP_TOOLSETS"), description="names separated by commas"
    )
    service_name: str = Field(
        "slipway", min_length=1, validation_alias=env("MCP_SERVICE_NAME"), description="the name shown by /health"
    )

    # Stores. None configured means embedded ones, in this process.
    redis_url: RedisUrl = Field(
        None, validation_alias=env("REDIS_URL"), description="redis://, rediss:// or redis+sentinel:// and an address"
    )
    redis_host: OptionalText = Field(
        None, validation_alias=env("REDIS_HOST"), description="a host name, or host:port; REDIS_URL says more"
    )
    mongodb_uri: MongoUri = Field(
        None, validation_alias=env("MONGODB_URI"), description="mongodb:// or mongodb+srv:// and an address"
    )

    # Limits.
    max_body_bytes: int = Field(
        4 * 1024 * 1024,
        ge=1024,
        le=1024**3,
        validation_alias=env("MCP_MAX_BODY_BYTES"),
        description="the largest request body or WebSocket message, in bytes, 1024 to 1073741824",
    )
    request_timeout: Seconds = Field(
        300.0,
        validation_alias=env("MCP_REQUEST_TIMEOUT"),
        description="seconds a request may run that has no limit of its own",
    )
    header_timeout: Seconds = Field(
        10.0, validation_alias=env("MCP_HEADER_TIMEOUT"), description="seconds a client has to send its headers"
    )
    body_timeout: Seconds = Field(
        30.0, validation_alias=env("MCP_BODY_TIMEOUT"), description="seconds a client has to send its body"
    )
    keep_alive_timeout: Seconds = Field(
        75.0, validation_alias=env("MCP_KEEP_ALIVE_TIMEOUT"), description="seconds an idle connection is kept"
    )
    drain_seconds: float = Field(
        25.0,
        ge=0,
        le=3600,
        validation_alias=env("MCP_DRAIN_SECONDS"),
        description="seconds running calls have to finish after SIGTERM, 0 to 3600",
    )
    max_connections: int = Field(
        20_000,
        ge=1,
        validation_alias=env("MCP_MAX_CONNECTIONS"),
        description="connections held at once by one process, 1 or more",
    )
    session_ttl: Seconds = Field(
        3600.0, validation_alias=env("MCP_SESSION_TTL"), description="seconds an unused session is kept"
    )
    max_sessions: int = Field(
        100_000, ge=1, validation_alias=env("MCP_MAX_SESSIONS"), description="sessions held at once, 1 or more"
    )
    max_events: int = Field(
        1_000, ge=1, validation_alias=env("MCP_MAX_EVENTS"), description="resumable events kept for one session"
    )
    max_event_bytes: int = Field(
        4 * 1024 * 1024,
        ge=1024,
        validation_alias=env("MCP_MAX_EVENT_BYTES"),
        description="bytes of resumable events kept for one session, 1024 or more",
    )

    # Who may call.
    allowed_hosts: Names = Field(
        (),
        validation_alias=env("MCP_ALLOWED_HOSTS"),
        description="host names separated by commas, with a port where it matters; * allows every name",
    )
    allowed_origins: Names = Field(
        (),
        validation_alias=env("MCP_ALLOWED_ORIGINS"),
        description="origins separated by commas, like https://app.example.org; * allows every origin",
    )
    auth_tokens: Annotated[Secrets, long_enough(16)] = Field(
        (),
        validation_alias=env("MCP_AUTH_TOKENS", "MCP_AUTH_TOKEN"),
        description="token, token:subject or token:subject:scope scope, separated by commas; 16 characters or more",
    )
    auth_tokens_file: OptionalPath = Field(
        None,
        validation_alias=env("MCP_AUTH_TOKENS_FILE"),
        description="a readable file with one token a line, written like MCP_AUTH_TOKENS",
    )
    request_state_keys: Annotated[Secrets, long_enough(32)] = Field(
        (),
        validation_alias=env("MCP_REQUEST_STATE_KEYS", "MCP_REQUEST_STATE_KEY"),
        description="keys of 32 characters or more, separated by commas, the same on every replica; the first seals",
    )
    request_state_keys_file: OptionalPath = Field(
        None,
        validation_alias=env("MCP_REQUEST_STATE_KEYS_FILE"),
        description="a readable file with one key a line, written like MCP_REQUEST_STATE_KEYS",
    )

    # What is told about it.
    log_level: LogLevel = Field(
        "info", validation_alias=env("MCP_LOG_LEVEL"), description="one of debug, info, warning, error"
    )
    log_format: LogFormat = Field("json", validation_alias=env("MCP_LOG_FORMAT"), description="json or text")
    access_log: bool = Field(
        False, validation_alias=env("MCP_ACCESS_LOG"), description="true or false: one log line a request"
    )

    traces_endpoint: OptionalHttpUrl = Field(
        None,
        validation_alias=env("OTEL_EXPORTER_OTLP_ENDPOINT"),
        description="the address of an OpenTelemetry collector that speaks OTLP over HTTP, like http://collector:4318",
    )

    # Kubernetes, the gateway and the mesh.
    pod_ip: OptionalText = Field(None, validation_alias=env("POD_IP"), description="this pod's address")
    pod_name: OptionalText = Field(None, validation_alias=env("POD_NAME"), description="this pod's name")
    namespace: str = Field(
        "default", validation_alias=env("KUBERNETES_NAMESPACE"), description="the namespace external servers run in"
    )
    gateway_image: str = Field(
        "archon-mcp:latest", validation_alias=env("ARCHON_MCP_IMAGE"), description="the image external servers run in"
    )
    server_cpu_limit: str = Field(
        "500m",
        pattern=r"^\d+(\.\d+)?m?$",
        validation_alias=env("MCP_SERVER_CPU_LIMIT"),
        description="a Kubernetes quantity such as 500m or 2",
    )
    server_memory_limit: str = Field(
        "512Mi",
        pattern=r"^\d+(\.\d+)?([EPTGMK]i?|k)?$",
        validation_alias=env("MCP_SERVER_MEMORY_LIMIT"),
        description="a Kubernetes quantity such as 512Mi or 2Gi",
    )
    allow_npx: bool = Field(True, validation_alias=env("MCP_ALLOW_NPX"), description="true or false")
    allow_uv: bool = Field(True, validation_alias=env("MCP_ALLOW_UV"), description="true or false")
    allow_custom_images: bool = Field(
        False, validation_alias=env("MCP_ALLOW_CUSTOM_IMAGES"), description="true or false"
    )
    mesh_registry_url: OptionalText = Field(
        None,
        pattern=r"^https?://[^/\s]+",
        validation_alias=env("MCP_MESH_REGISTRY_URL"),
        description="the registry's address, like http://slipway-registry:8000",
    )
    mesh_http_enabled: bool = Field(False, validation_alias=env("MCP_MESH_HTTP_ENABLED"), description="true or false")
    registry_id: OptionalText = Field(None, validation_alias=env("REGISTRY_ID"), description="this registry's name")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 (the base class fixes the signature)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, env_settings)

    @classmethod
    def load(cls, **overrides: object) -> Settings:
        """Read the environment; an override that is not None wins. Raises SettingsError with every problem at once."""
        known = known_variables()
        files = {
            variable: path for variable, path in os.environ.items() if variable.endswith("_FILE") and variable in known
        }
        problems = [*misspelt(os.environ, known), *unreadable(files)]
        given = {primary_variable(name): value for name, value in overrides.items() if value is not None}
        try:
            settings = cls(**given)  # type: ignore[arg-type]
        except ValidationError as error:
            expected = {variable: cls.model_fields[field].description or "" for variable, field in known.items()}
            problems.extend(refused(error, {**os.environ, **given}, expected))
            raise SettingsError(problems) from None
        if problems:
            raise SettingsError(problems)
        return settings

    @cached_property
    def redis_address(self) -> str | None:
        """The one Redis URL to connect to (it may hold a password), or None: embedded stores."""
        if self.redis_url:
            return self.redis_url.get_secret_value()
        if self.redis_host:
            return f"redis://{self.redis_host}" if ":" in self.redis_host else f"redis://{self.redis_host}:6379"
        return None

    @cached_property
    def bearer_tokens(self) -> tuple[str, ...]:
        """Every accepted token with its subject and scopes, as written; empty means that no token is asked for."""
        return (*(token.get_secret_value() for token in self.auth_tokens), *_lines(self.auth_tokens_file))

    @property  # not cached: a copy with other keys would bring the old ones along
    def sealing_keys(self) -> tuple[str, ...]:
        """The keys that seal what clients carry back to us; the first seals, every one opens."""
        return (*(key.get_secret_value() for key in self.request_state_keys), *_lines(self.request_state_keys_file))


def variables_of(field: str) -> tuple[str, ...]:
    """The environment variables that set a field, the usual one first."""
    alias = Settings.model_fields[field].validation_alias
    return tuple(str(choice) for choice in alias.choices) if isinstance(alias, AliasChoices) else (field,)


def primary_variable(field: str) -> str:
    return variables_of(field)[0]


def known_variables() -> dict[str, str]:
    """Each environment variable and the field it sets."""
    return {variable: field for field in Settings.model_fields for variable in variables_of(field)}


def variables_of_others() -> dict[str, str]:
    """The environment without what is ours: for programs that we start, which our secrets do not concern."""
    known = known_variables()
    return {
        variable: value
        for variable, value in os.environ.items()
        if variable not in known and not variable.startswith(CHILD_PREFIX)
    }


def all_variables() -> dict[str, str]:
    """The environment as it is: for a program that takes our place."""
    return dict(os.environ)


def variables_for_children() -> dict[str, str]:
    """What is meant for the children of a bridge, whatever it is called there: SLIPWAY_CHILD_REDIS_URL is REDIS_URL."""
    meant = (item for item in os.environ.items() if item[0].startswith(CHILD_PREFIX))
    return {variable.removeprefix(CHILD_PREFIX): value for variable, value in meant}


def _lines(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    lines = (line.strip() for line in path.read_text("utf-8").splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))

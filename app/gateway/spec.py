"""What a server is told to be, and what of that a launcher is told to start."""

from __future__ import annotations

from typing import Literal

import msgspec

ServerType = Literal["npx", "uv", "archon", "image", "remote"]
Transport = Literal["stdio", "http", "sse", "websocket"]
Place = Literal["process", "pod"]
"""What a server runs as."""


class SecretRef(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key of a Kubernetes Secret. Locally, where there are none, it is refused with the remedy."""

    secret: str
    key: str


class ServerSpec(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One external server as a person declares it; what is None, its template or type decides."""

    enabled: bool = True
    template: str | None = None
    type: ServerType | None = None
    transport: Transport | None = None
    package: str | None = None
    version: str | None = None
    image: str | None = None
    url: str | None = None
    port: int | None = None
    allowed_paths: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    secret_environment: dict[str, SecretRef] = {}


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one server may use at most, as Kubernetes quantities."""

    cpu: str = "500m"
    memory: str = "512Mi"
    cpu_request: str = "100m"
    memory_request: str = "256Mi"


class Pin(msgspec.Struct, frozen=True, kw_only=True):
    """The exact package that a name was resolved to."""

    ecosystem: Literal["npm", "pypi"]
    name: str
    version: str
    integrity: str | None = None
    """Subresource-integrity text of npm, or `sha256:…` of PyPI."""


class LaunchSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a launcher starts: resolved, allowed and pinned. Nothing in it ever passes through a shell."""

    id: str
    """The server's name: a DNS label, unique within its gateway."""
    type: ServerType
    transport: Transport
    command: tuple[str, ...] = ()
    """The argument vector; empty for an image with an entry point of its own."""
    image: str | None = None
    """The image of its pod; None for the gateway's own bridge image."""
    url: str | None = None
    """Where a remote server is: nothing is started for it."""
    port: int | None = None
    """Where it listens, for transports other than stdio."""
    environment: dict[str, str] = {}
    secret_environment: dict[str, SecretRef] = {}
    limits: Limits = Limits()
    internet: bool = True
    pin: Pin | None = None
    idle_seconds: float | None = None
    """Stopped after so long without a call; None for never."""

    def digest(self) -> str:
        """Equal for equal specs: by it a running server is known to be the one that is wanted."""
        import hashlib

        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:16]

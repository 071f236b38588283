"""The seam to whatever runs servers: local processes or pods. Both pass one contract test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from app.gateway.spec import LaunchSpec, Transport

State = Literal["starting", "running", "failed", "stopped"]


class LaunchError(Exception):
    """A server could not be started; the message says why, in the runner's own words, and what to do."""


class Lines(Protocol):
    """A server's standard streams, as whole lines. It has one owner."""

    async def send(self, line: bytes) -> None:
        """Write one line, without its newline; waits while it is read too slowly. Raises `EOFError` at the end."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The lines that it writes, without their newlines, until it ends."""
        ...

    async def close(self) -> None:
        """End its input, and the server with it."""
        ...


class StdioEndpoint(Protocol):
    """A way to open a server's standard streams; each call may be a fresh child or a fresh connection to one."""

    async def open(self) -> Lines: ...


@dataclass(frozen=True, slots=True)
class UrlEndpoint:
    """A server that listens."""

    url: str
    transport: Transport = "http"
    headers: dict[str, str] = field(default_factory=dict[str, str])


Endpoint = StdioEndpoint | UrlEndpoint


@dataclass(frozen=True, slots=True)
class Launched:
    """One server as its launcher sees it now."""

    id: str
    state: State
    digest: str
    """Of the `LaunchSpec` that it was started from."""
    endpoint: Endpoint | None
    """How to reach it; None while there is no way yet, or no longer."""
    started: datetime | None = None
    restarts: int = 0
    reason: str = ""
    """Why it is not running, in the runner's own words: `ImagePullBackOff: …`, `exit status 1: …`."""


class Launcher(Protocol):
    """Starts servers, watches them, stops them, and finds again what ran before itself."""

    async def start(self, spec: LaunchSpec) -> Launched:
        """Begin to run a server; returns at once, `watch` tells the rest. The same spec again changes nothing."""
        ...

    async def stop(self, server_id: str) -> None:
        """End a server with all that belongs to it, and wait until it is gone; one that is not there is no error."""
        ...

    async def adopt(self) -> list[Launched]:
        """What runs already, of an earlier life of this gateway."""
        ...

    def watch(self) -> AsyncIterator[Launched]:
        """Every change of state from now on, as it happens."""
        ...

    def logs(self, server_id: str, *, lines: int = 100, follow: bool = False) -> AsyncIterator[str]:
        """What a server wrote to its standard error (or, in a pod, to its log)."""
        ...

    async def check(self) -> None:
        """Raise if servers cannot be started now."""
        ...

    async def close(self) -> None:
        """Let go. Local processes end with their gateway; pods run on and are adopted."""
        ...

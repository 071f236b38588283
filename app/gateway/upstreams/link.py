"""What every way to reach a server can do, whatever the transport."""

from __future__ import annotations

from typing import Protocol

from msgspec import Raw

from app.gateway.upstream import About, Downstream, UpstreamUnavailable
from app.gateway.upstreams.dialect import Dialect


class SessionEnded(UpstreamUnavailable):
    """The server forgot the session: begun anew, the request may be sent again."""


class NotSpoken(UpstreamUnavailable):
    """The server does not understand such a request; `another`: it may be of the other era, or no MCP server at all."""

    def __init__(self, message: str, *, another: bool) -> None:
        super().__init__(message, unsent=another)
        self.another = another


class Refused(UpstreamUnavailable):
    """The request was not taken, and would not be if it was sent again at once."""

    def __init__(self, message: str) -> None:
        super().__init__(message, unsent=True)


class Link(Protocol):
    """A way to a server. It may be opened again and again; what runs over a former opening fails or goes on."""

    @property
    def dialect(self) -> Dialect:
        """Of the revision that was agreed on."""
        ...

    async def open(self) -> About:
        """Reach the server and agree on a revision; raises `UpstreamUnavailable`."""
        ...

    async def request(
        self, method: str, params: Raw | bytes, downstream: Downstream | None, timeout: float | None, *, once: bool
    ) -> Raw:
        """One request; `once` says that it must not be sent again where it may have arrived."""
        ...

    def learn(self, tools: list[Raw]) -> list[Raw]:
        """Those of the tools that may be called over this transport."""
        ...

    async def close(self) -> None: ...

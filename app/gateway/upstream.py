"""The seam to one external server, whatever transport and revision it speaks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from msgspec import Raw

ListName = Literal["tools", "prompts", "resources", "templates"]


class UpstreamFailure(Exception):
    """The server answered with a JSON-RPC error, which is passed on as it is."""

    def __init__(self, code: int, message: str, data: Raw | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data


class UpstreamUnavailable(Exception):
    """The server cannot be reached now, was lost during the call, or its circuit is open; the message says which.

    `unsent` tells that the request never reached it, so it may be sent again whatever it does.
    """

    def __init__(self, message: str, *, unsent: bool = False) -> None:
        super().__init__(message)
        self.unsent = unsent


class Downstream(Protocol):
    """The client on whose behalf a request is made, as the server's own requests and notifications find it."""

    @property
    def stateless(self) -> bool:
        """It speaks a revision without a handshake: results that ask for input are handed to it as they are."""
        ...

    @property
    def capabilities(self) -> Mapping[str, Any]:
        """What it can be asked."""
        ...

    @property
    def progress_token(self) -> str | int | None:
        """Set where it wants progress; the upstream uses a token of its own, and notifies with this one."""
        ...

    @property
    def log_level(self) -> str | None:
        """The least level of log messages that it wants."""
        ...

    @property
    def session_id(self) -> str | None:
        """Its session of the older era, for servers that keep something for each."""
        ...

    async def notify(self, method: str, params: Raw) -> None:
        """Pass a notification that belongs to the running request: progress, log messages."""
        ...

    async def ask(self, method: str, params: Raw) -> Raw:
        """Pass a request of the server's (sampling, elicitation, roots) and return the result.

        Raises `app.protocol.calls.ClientRefused`.
        """
        ...


@dataclass(frozen=True, slots=True)
class About:
    """What a server said of itself when it was opened."""

    revision: str
    name: str
    version: str
    capabilities: Mapping[str, Any] = field(default_factory=dict[str, Any])
    instructions: str = ""


@dataclass(frozen=True, slots=True)
class News:
    """A notification that belongs to no request: `list_changed`, `resources/updated`, log messages; or its state."""

    method: str
    params: Raw | None = None


CONNECTED = "slipway/connected"
"""The method of the `News` that a server is (again) there: its lists should be read anew."""
LOST = "slipway/lost"
"""The method of the `News` that a server is gone; the upstream goes on trying to reach it."""


class Upstream(Protocol):
    """One external server. It reconnects by itself; a call while it is away fails at once."""

    @property
    def about(self) -> About | None:
        """What it said last; None before it was first reached."""
        ...

    @property
    def available(self) -> bool:
        """Whether a call would be tried now."""
        ...

    async def open(self) -> None:
        """Reach it and shake hands; raises `UpstreamUnavailable`, and goes on trying in the background."""
        ...

    async def request(
        self,
        method: str,
        params: Raw,
        *,
        downstream: Downstream | None = None,
        timeout: float | None = None,
        repeatable: bool = False,
    ) -> Raw:
        """The result of a request, as it came.

        Cancelling it cancels the request there. Raises `UpstreamFailure`, `UpstreamUnavailable` and `TimeoutError`.
        `params` has no `_meta` members of the protocol's own: those are the upstream's to add. `repeatable` tells that
        a tool may be called again when its answer was lost (it is annotated as reading only or as idempotent); of
        lists and reads that is known.
        """
        ...

    async def list(self, name: ListName) -> list[Raw]:
        """All items of a list, page after page; empty where the server lacks the capability."""
        ...

    def follow(self, listener: Callable[[News], None]) -> Callable[[], None]:
        """Be told news, until the function that this returns is called."""
        ...

    async def close(self) -> None:
        """Let go of it, and end it where its streams are owned."""
        ...

"""One call: a decoded request with everything that its handling needs, and nothing of the transport it came by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import msgspec

from app.protocol.messages import RequestId
from app.protocol.params import Params
from app.protocol.revisions import Revision


class Caller(msgspec.Struct, frozen=True):
    """Who calls, as `security` found out."""

    subject: str = "anonymous"
    scopes: frozenset[str] = frozenset()


ANONYMOUS = Caller()


class TraceContext(msgspec.Struct, frozen=True):
    """W3C trace context of a call, from its `_meta` or from the transport's headers."""

    traceparent: str
    tracestate: str = ""
    baggage: str = ""


class ClientChannel(Protocol):
    """A way to send messages to the client while one of its requests runs; each transport brings its own."""

    async def notify(self, method: str, params: object) -> None:
        """Send a notification that belongs to the running request."""
        ...

    async def request(self, method: str, params: object, *, timeout: float | None = None) -> msgspec.Raw:
        """Ask the client and wait for its result; raises `ClientRefused` or `TimeoutError`. Older era only."""
        ...


@runtime_checkable
class Releasable(Protocol):
    """A channel whose connection can be let go while the call runs: the client comes back for the rest."""

    async def release(self) -> None:
        """Let the connection go, if the client can resume it; else do nothing."""
        ...


class ClientRefused(Exception):
    """The client answered a request of the server's with an error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class SessionView(Protocol):
    """What the protocol needs of a session of the older era; `sessions.Session` is one."""

    id: str
    revision: str
    client_info: Mapping[str, Any]
    client_capabilities: Mapping[str, Any]
    log_level: str | None
    subscriptions: set[str]
    initialized: bool


@dataclass(frozen=True, slots=True)
class Handshake:
    """What an answered `initialize` agreed on: what the transport makes a session of."""

    revision: Revision
    client_info: dict[str, Any]
    client_capabilities: dict[str, Any]


@dataclass(slots=True)
class Call:
    """One decoded request. A transport makes it, `Dispatcher.answer` answers it."""

    id: RequestId
    method: str
    params: msgspec.Raw | None
    revision: Revision
    session: SessionView | None
    caller: Caller
    channel: ClientChannel
    trace: TraceContext | None = None
    decoded: Params | None = None
    """The parameters, where the transport had to look into them already."""

    # Filled while the call is answered, for the transport to act upon before it writes the answer.
    session_changed: bool = field(default=False)
    """The session was altered: save it before the answer is sent."""
    handshake: Handshake | None = field(default=None)
    """An `initialize` was accepted: open a session."""
    failed: int = field(default=0)
    """The JSON-RPC code of the error that is the answer, 0 for a result."""
    tool_failed: bool = field(default=False)
    """The answer is a result, and one that says that the tool failed."""

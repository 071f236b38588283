"""How patient an upstream is, and how much it takes."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Literal

from app.resilience.retry import Backoff


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamOptions:
    """The same for every transport; what a transport does not have, it ignores."""

    era: Literal["stateless", "handshake"] | None = None
    """What the server is known to speak; None to find out."""
    timeout: float = 300.0
    """Seconds for a request whose caller names none."""
    connect_timeout: float = 10.0
    handshake_timeout: float = 60.0
    """Seconds in which a server must have said what it is: a child may have to be installed first."""
    probe_timeout: float = 2.0
    """Seconds after which a server that does not answer `server/discover` is also asked to `initialize`."""
    max_running: int = 80
    """Requests at one server at a time; more wait. Our own servers take 100 on a connection, with what listens."""
    max_waiting: int = 1_000
    """Requests that wait; more are refused at once."""
    max_message_bytes: int = 100 * 1024 * 1024
    """The largest message that is taken from a server."""
    max_pages: int = 1_000
    max_items: int = 100_000
    failures: int = 5
    """So many failures in a row open the circuit."""
    open_seconds: float = 30.0
    doubt_seconds: float = 10.0
    """When the circuit opens because no answers came: seconds in which a server must say that it is there at all."""
    backoff: Backoff = field(default_factory=Backoff)
    """Between the attempts of a request that may be repeated."""
    reconnect: Backoff = field(default_factory=lambda: Backoff(base=0.2, most=30.0))
    """Between the attempts to reach a server that was lost; its number of attempts is not looked at."""
    stable_seconds: float = 10.0
    """A connection that lasted so long makes the next loss the first again."""
    tls: ssl.SSLContext | None = None
    """In place of the system's authorities."""

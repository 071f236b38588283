"""What every managed server works with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.gateway.launcher import Launcher
from app.gateway.manager.launches import Launches
from app.gateway.manager.seams import Catalogue, OpenUpstream, Resolver
from app.gateway.manager.store import Store
from app.gateway.spec import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerLimits:
    """How long things may take, and how many of them at once."""

    start_seconds: float = 180.0
    """From launching a server until its tools are listed."""
    resolve_seconds: float = 180.0
    """Until its registry answered and its package is installed."""
    refuse_seconds: float = 2.0
    """A start that turns out within so long to be a mistake is refused; later, it is a server that failed."""
    stop_seconds: float = 30.0
    starts_at_once: int = 32
    servers: int = 500
    retry_first: float = 2.0
    retry_most: float = 120.0
    recover_seconds: float = 30.0
    """A server that failed may come back by itself for so long; then it is started anew."""


@dataclass(slots=True, kw_only=True)
class Parts:
    """Made once by the manager, shared by its servers."""

    launcher: Launcher
    launches: Launches
    resolver: Resolver
    catalogue: Catalogue
    open_upstream: OpenUpstream
    store: Store
    limits: ManagerLimits
    place: Place
    policy: str = ""
    """The digest of the rules that servers are resolved under."""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Sent to other replicas."""
    slots: asyncio.Semaphore = field(init=False)
    on_outcome: Callable[[str, float | None], None] = lambda _outcome, _seconds: None
    """Told of every attempt to start a server: its outcome and, of one that succeeded, its seconds."""

    def __post_init__(self) -> None:
        self.slots = asyncio.Semaphore(self.limits.starts_at_once)

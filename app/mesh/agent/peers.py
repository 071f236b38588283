"""Connections to other agents: one each, opened when first needed, closed when it is needed no more."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Collection, Iterable
from contextlib import suppress

from app.gateway.launcher import UrlEndpoint
from app.gateway.upstream import Upstream, UpstreamUnavailable
from app.gateway.upstreams import UpstreamOptions, open_upstream
from app.mesh.agent.finding import Candidate
from app.resilience.retry import Backoff

logger = logging.getLogger("slipway.agent")

_IDLE_SECONDS = 60.0
_DOUBT_SECONDS = 30.0
# A call is tried again at another agent, by the mesh's own budget: never by the connection itself.
_OPTIONS = UpstreamOptions(
    connect_timeout=2.0,
    handshake_timeout=5.0,
    failures=5,
    open_seconds=30.0,
    backoff=Backoff(attempts=1),
)


class Peer:
    """One agent, and what is being asked of it from here."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.running = 0
        self.used = time.monotonic()
        self._failed: float | None = None
        self._upstream: Upstream | None = None
        self._opening: asyncio.Task[Upstream] | None = None

    @property
    def usable(self) -> bool:
        """Whether a call would be tried: it was never asked, or it answers."""
        return self._upstream is None or self._upstream.available

    @property
    def doubted(self) -> bool:
        """Whether the last call failed, not long ago: others are asked first."""
        return self._failed is not None and time.monotonic() - self._failed < _DOUBT_SECONDS

    def left(self, *, failed: bool) -> None:
        """A call to it has ended."""
        self.running -= 1
        self.used = time.monotonic()
        self._failed = self.used if failed else None

    async def upstream(self) -> Upstream:
        """The connection. Raises `UpstreamUnavailable`."""
        if self._upstream is not None:
            return self._upstream
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._open())
        return await asyncio.shield(self._opening)

    async def close(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            with suppress(asyncio.CancelledError, UpstreamUnavailable):
                await self._opening
        if self._upstream is not None:
            await self._upstream.close()

    async def _open(self) -> Upstream:
        upstream = open_upstream(self.endpoint, UrlEndpoint(f"{self.endpoint}/mcp"), _OPTIONS)
        try:
            await upstream.open()
        except UpstreamUnavailable:
            # It is kept: it goes on trying, and tells by `available` when calls make sense again.
            self._upstream = upstream
            raise
        self._upstream = upstream
        return upstream


class Peers:
    """All of them."""

    def __init__(self) -> None:
        self._peers: dict[str, Peer] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def choose(self, candidates: Iterable[Candidate], without: Collection[str]) -> tuple[Candidate, Peer] | None:
        """The candidate with the fewest calls in flight; those that answer first, then the healthy, then anyone."""
        best: tuple[tuple[bool, bool, int, float], Candidate, Peer] | None = None
        for candidate in candidates:
            if candidate.endpoint in without:
                continue
            peer = self._peers.get(candidate.endpoint)
            if peer is None:
                peer = self._peers[candidate.endpoint] = Peer(candidate.endpoint)
            unwell = candidate.degraded or peer.doubted
            rank = (not peer.usable, unwell, peer.running, random.random())  # noqa: S311 (no secret)
            if best is None or rank < best[0]:
                best = (rank, candidate, peer)
        return None if best is None else (best[1], best[2])

    def tidy(self, wanted: Collection[str]) -> None:
        """Close what nobody has called for a while and is not wanted."""
        now = time.monotonic()
        for endpoint, peer in list(self._peers.items()):
            if endpoint not in wanted and not peer.running and now - peer.used > _IDLE_SECONDS:
                del self._peers[endpoint]
                task = asyncio.create_task(peer.close())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close them all."""
        peers, self._peers = list(self._peers.values()), {}
        await asyncio.gather(*(peer.close() for peer in peers), *self._closing, return_exceptions=True)

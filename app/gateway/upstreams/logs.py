"""How much a server of the older era logs: one level for all of its clients, so the most that any of them wants."""

from __future__ import annotations

import asyncio
import logging

from app.gateway.upstream import UpstreamFailure, UpstreamUnavailable
from app.gateway.upstreams.link import Link
from app.gateway.upstreams.wire import encode
from app.protocol.context import LEVELS

_log = logging.getLogger("slipway.gateway")
_RANK = {level: rank for rank, level in enumerate(LEVELS)}
_PATIENCE = 10.0


class LogLevel:
    """Tells one session of a server how much to log."""

    def __init__(self, link: Link, label: str) -> None:
        self._link = link
        self._label = label
        self._rank = len(LEVELS)
        self._telling: asyncio.Task[None] | None = None

    def want(self, level: str | None) -> None:
        """A client wants this much."""
        if level is None:
            return
        rank = _RANK.get(level)
        if rank is not None and rank < self._rank:
            self._rank = rank
            self.stop()
            self._telling = asyncio.create_task(self._tell(level), name=f"set the log level of {self._label}")

    def stop(self) -> None:
        """Tell no more."""
        if self._telling is not None:
            self._telling.cancel()

    async def close(self) -> None:
        """Tell no more, and wait until that is so."""
        self.stop()
        if self._telling is not None:
            await asyncio.wait({self._telling})

    async def _tell(self, level: str) -> None:
        try:
            await self._link.request("logging/setLevel", encode({"level": level}), None, _PATIENCE, once=False)
        except (UpstreamFailure, UpstreamUnavailable, TimeoutError) as error:
            _log.info("server %r does not log as told: %s", self._label, error)

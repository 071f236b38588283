"""News of what is offered, carried to the listeners of every replica."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from app.protocol.changes import Changes
from app.sessions.store import SessionStore, StoreUnavailable

logger = logging.getLogger("slipway.relay")

_CHANNEL = "changes"
_RETRY = 1.0


class ChangeRelay:
    """Between the listeners here and, through the store, those of the other replicas."""

    def __init__(self, changes: Changes, store: SessionStore, channel: str = _CHANNEL) -> None:
        self._changes = changes
        self._store = store
        self._channel = channel
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to carry."""
        self._changes.relay = self._send
        self._following = asyncio.create_task(self._follow(), name="changes")

    async def close(self) -> None:
        """Carry nothing more."""
        self._changes.relay = None
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    async def _send(self, data: bytes) -> None:
        try:
            await self._store.publish(self._channel, data)
        except StoreUnavailable:
            logger.warning("the session store is away: a change is told on this replica only")
            self._changes.receive(data)

    async def _follow(self) -> None:
        while True:
            with suppress(StoreUnavailable):
                async with self._store.follow(self._channel) as arriving:
                    async for data in arriving:
                        self._changes.receive(data)
            await asyncio.sleep(_RETRY)

"""A bulkhead: so many at a time, so many that wait, and no more."""

from __future__ import annotations

import asyncio
from collections import deque


class GateFull(Exception):
    """So many run and wait already that no more are taken."""


class Gate:
    """Enter and leave; those that wait enter in the order they came."""

    def __init__(self, most: int, waiting: int) -> None:
        self.running = 0
        self._most = most
        self._most_waiting = waiting
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def full(self) -> bool:
        """Whether one has to wait to enter."""
        return self.running >= self._most

    async def enter(self) -> None:
        """Wait for a place; raises `GateFull`."""
        if self.running < self._most:
            self.running += 1
            return
        if len(self._waiting) >= self._most_waiting:
            raise GateFull(f"{self._most} requests run and {self._most_waiting} wait")
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave()  # its place is somebody else's
            raise

    def leave(self) -> None:
        """Make room: the place goes to whoever waits longest."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self.running -= 1

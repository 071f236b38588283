"""Servers with a time to live: one timer for all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

_FARTHEST = 3_600.0  # a timer that is set for weeks drifts: it looks again every hour


class Expiry:
    """Calls `expired` with an id when its time, in seconds since 1970, has come."""

    def __init__(self, expired: Callable[[str], None]) -> None:
        self._expired = expired
        self._times: dict[str, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def set(self, server: str, expires: float | None) -> None:
        """None: it lives for ever, or is gone."""
        if expires is None:
            self._times.pop(server, None)
        else:
            self._times[server] = expires
        self._wind()

    def close(self) -> None:
        self._times.clear()
        self._wind()

    def _wind(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._times:
            wait = min(_FARTHEST, max(0.0, min(self._times.values()) - time.time()))
            self._timer = asyncio.get_running_loop().call_later(wait, self._ring)

    def _ring(self) -> None:
        self._timer = None
        for server in [key for key, expires in self._times.items() if expires <= time.time()]:
            del self._times[server]
            self._expired(server)
        self._wind()

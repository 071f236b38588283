"""One request on its way: what comes for it, in order, until it is over."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from msgspec import Raw

from app.gateway.upstream import Downstream
from app.gateway.upstreams import wire

MAX_NOTES = 1_000
"""Notifications that wait for a slow client; of more, the oldest are dropped."""

_log = logging.getLogger("slipway.gateway")


class RunningCall:
    """A request that waits for its answer. No task runs for it: whoever awaits `outcome` does its work."""

    __slots__ = ("_answer", "_error", "_notes", "_over", "_waiter", "asks", "downstream", "method", "number", "task")

    def __init__(
        self, number: int, method: str, downstream: Downstream | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.number = number
        self.method = method
        self.downstream = downstream
        self.asks: set[asyncio.Task[None]] | None = None
        """What the server asks meanwhile; ended with the call."""
        self.task = ""
        """The id of the task that it is about."""
        self._waiter: asyncio.Future[None] = loop.create_future()
        self._notes: deque[tuple[str, Raw]] | None = None
        self._over = False
        self._answer: Raw | None = None
        self._error: BaseException | None = None

    @property
    def over(self) -> bool:
        """Whether it has been answered, or failed."""
        return self._over

    @property
    def answered(self) -> bool:
        """Whether its result has come."""
        return self._answer is not None

    def settle(self, answer: Raw) -> None:
        """The result is there; anything after it is dropped."""
        if not self._over:
            self._over = True
            self._answer = answer
            self._wake()

    def fail(self, error: BaseException) -> None:
        """There will be no result."""
        if not self._over:
            self._over = True
            self._error = error
            self._wake()

    def reopen(self) -> None:
        """Wait on after a failure: the answer may still come another way."""
        self._over = False
        self._error = None
        self._waiter = asyncio.get_running_loop().create_future()

    def note(self, method: str, params: Raw) -> None:
        """A notification for the client, handed over before whatever comes after it."""
        if self._over or self.downstream is None:
            return
        if self._notes is None:
            self._notes = deque(maxlen=MAX_NOTES)
        self._notes.append((method, params))
        self._wake()

    async def outcome(self) -> Raw:
        """The result; raises what `fail` was given."""
        while True:
            await self._waiter
            if self._notes:
                await self._deliver(self._notes)
            if self._over:
                if self._error is not None:
                    raise self._error
                return wire.EMPTY if self._answer is None else self._answer
            self._waiter = asyncio.get_running_loop().create_future()

    def end(self) -> None:
        """Nobody waits for it any longer."""
        self._over = True
        if self.asks:
            for task in tuple(self.asks):
                task.cancel()

    def _wake(self) -> None:
        if not self._waiter.done():
            self._waiter.set_result(None)

    async def _deliver(self, notes: deque[tuple[str, Raw]]) -> None:
        while notes and self.downstream is not None:
            method, params = notes.popleft()
            try:
                await self.downstream.notify(method, params)
            except Exception:
                _log.warning("a client could not be told %s", method, exc_info=True)

"""A queue of names to look at: each at most once at a time, however often it is asked for, later after failures."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import random
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

logger = logging.getLogger("slipway.operator.work")

K = TypeVar("K", bound=Hashable)
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 60.0


class WorkQueue(Generic[K]):
    """Level-triggered: a key stands for "look at this", and the looking finds out what changed."""

    def __init__(self) -> None:
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = itertools.count()
        self._running: set[K] = set()
        self._later: dict[K, float] = {}
        self._failures: dict[K, int] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due) + len(self._running)

    def add(self, key: K, delay: float = 0.0) -> None:
        """Look at `key` after `delay` seconds, or earlier where that was asked for before."""
        when = asyncio.get_running_loop().time() + delay
        waiting = self._later if key in self._running else self._due
        if waiting.get(key, when) < when:
            return
        waiting[key] = when
        if waiting is self._due:
            heapq.heappush(self._heap, (when, next(self._order), key))
            self._changed.set()

    def forget(self, key: K) -> None:
        """Do not look at `key` again unless it is added again."""
        self._due.pop(key, None)
        self._later.pop(key, None)
        self._failures.pop(key, None)

    async def run(self, work: Callable[[K], Awaitable[float | None]], *, workers: int) -> None:
        """Work until cancelled. What `work` returns is when to look again, in seconds; what it raises, a back-off."""
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._worker(work))

    async def _worker(self, work: Callable[[K], Awaitable[float | None]]) -> None:
        while True:
            key = await self._next()
            again: float | None = None
            try:
                again = await work(key)
                self._failures.pop(key, None)
            except Exception as error:
                again = self._pause(key)
                fields = {"key": key, "again_in": round(again, 1), "error": str(error) or type(error).__name__}
                logger.warning("looking at an agent failed", extra={"fields": fields})
                logger.debug("the failure", exc_info=error)
            finally:
                self._running.discard(key)
            later = self._later.pop(key, None)
            if later is not None:
                self.add(key, max(0.0, later - asyncio.get_running_loop().time()))
            if again is not None:
                self.add(key, again)

    async def _next(self) -> K:
        loop = asyncio.get_running_loop()
        while True:
            while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
                heapq.heappop(self._heap)
            wait = None
            if self._heap:
                when, _, key = self._heap[0]
                wait = when - loop.time()
                if wait <= 0:
                    heapq.heappop(self._heap)
                    del self._due[key]
                    self._running.add(key)
                    return key
            self._changed.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _pause(self, key: K) -> float:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(failures, 16))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing

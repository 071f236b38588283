"""Noticing what takes too long, at a price that quick calls do not feel: one coarse timer instead of one for each."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Entry = TypeVar("Entry", bound=Hashable)
Result = TypeVar("Result")
_FINEST, _COARSEST = 4, 1.0


class Overdue(Generic[Entry]):
    """Calls `late(entry)` for each entry that stays longer than `patience` seconds, at most a tick after that."""

    __slots__ = ("_added", "_allowed", "_late", "_loop", "_now", "_tick", "_timer")

    def __init__(self, patience: float, late: Callable[[Entry], None]) -> None:
        self._tick = min(patience / _FINEST, _COARSEST)
        self._allowed = math.ceil(patience / self._tick)
        self._late = late
        self._added: dict[Entry, int] = {}
        self._now = 0
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, entry: Entry) -> None:
        """Begin to wait for the entry to be discarded."""
        self._added[entry] = self._now
        if self._timer is None or self._loop is not asyncio.get_running_loop():
            self._arm()

    def discard(self, entry: Entry) -> None:
        """Stop waiting; an entry that is not there is no error."""
        self._added.pop(entry, None)

    def _arm(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(self._tick, self._ticked)

    def _ticked(self) -> None:
        self._timer = None
        self._now += 1
        latest = self._now - self._allowed
        for entry in [entry for entry, added in self._added.items() if added < latest]:
            self._added.pop(entry, None)
            self._late(entry)
        if self._added:
            self._arm()


class TimeLimitPassed(TimeoutError):
    """What ran took longer than its limit."""


class TimeLimit:
    """Cancels what takes longer than `seconds`, like `asyncio.timeout`, for limits that are rarely reached."""

    __slots__ = ("_expired", "_overdue", "_tasks", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._overdue: Overdue[object] = Overdue(seconds, self._expire)
        self._tasks: dict[object, asyncio.Task[object] | None] = {}
        self._expired: dict[object, int] = {}
        """What was cancelled, and how often its task had been asked to cancel before."""

    async def run(self, running: Awaitable[Result]) -> Result:
        """The result of what runs; raises `TimeLimitPassed`."""
        task = self._tasks[running] = asyncio.current_task()
        self._overdue.add(running)
        try:
            return await running
        except asyncio.CancelledError:
            before = self._expired.pop(running, None)
            if before is not None and task is not None and task.uncancel() <= before:
                raise TimeLimitPassed(f"not finished within {self.seconds:g} s") from None
            raise
        finally:
            self._overdue.discard(running)
            del self._tasks[running]
            if self._expired:
                self._expired.pop(running, None)

    def _expire(self, running: object) -> None:
        task = self._tasks.get(running)
        if task is not None:
            self._expired[running] = task.cancelling()
            task.cancel()

"""Deadlines of requests, at a price that quick ones do not feel: one coarse timer for all in place of one for each."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final

_TICK: Final = 0.25
_EXACT: Final = 5.0
"""Seconds below which a deadline has a timer of its own: nobody waits a tick longer for so little."""


class Deadline:
    """`with deadlines.within(seconds):` is like `async with asyncio.timeout(seconds):`."""

    __slots__ = ("_before", "_deadlines", "_expired", "_own", "_task", "when")

    def __init__(self, deadlines: Deadlines, when: float) -> None:
        self.when = when
        self._deadlines = deadlines
        self._own: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        self._before = 0
        self._expired = False

    def __enter__(self) -> None:
        task = self._task = asyncio.current_task(self._deadlines.loop)
        self._before = 0 if task is None else task.cancelling()
        self._own = self._deadlines.begin(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadlines.running.discard(self)
        if self._own is not None:
            self._own.cancel()
        task, self._task = self._task, None
        ours = self._expired and task is not None and task.uncancel() <= self._before
        if ours and kind is not None and issubclass(kind, asyncio.CancelledError):
            raise TimeoutError from error

    def expire(self) -> None:
        """Its time is over: whatever runs inside is cancelled."""
        if self._task is not None and not self._expired:
            self._expired = True
            self._task.cancel()


class Deadlines:
    """Those of one upstream; used from one event loop."""

    __slots__ = ("_timer", "loop", "running")

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.running: set[Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None

    def within(self, seconds: float | None) -> Deadline:
        """What is inside has so many seconds, and up to a quarter of one more; None for ever. Raises `TimeoutError`."""
        return Deadline(self, self.loop.time() + (float("inf") if seconds is None else seconds))

    def begin(self, deadline: Deadline) -> asyncio.TimerHandle | None:
        """Look after it; a timer of its own for a short one, which whoever asks cancels."""
        if deadline.when - self.loop.time() < _EXACT:
            return self.loop.call_at(deadline.when, deadline.expire)
        self.running.add(deadline)
        if self._timer is None:
            self._timer = self.loop.call_later(_TICK, self._look)
        return None

    def _look(self) -> None:
        self._timer = None
        now = self.loop.time()
        for deadline in [deadline for deadline in self.running if deadline.when <= now]:
            self.running.discard(deadline)
            deadline.expire()
        if self.running:
            self._timer = self.loop.call_later(_TICK, self._look)

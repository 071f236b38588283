"""Trying again, with jitter, for what may be done twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often, and how long to wait between: anything up to a bound that doubles (full jitter)."""

    attempts: int = 3
    base: float = 0.2
    most: float = 2.0
    jitter: Callable[[], float] = random.random
    """A number from 0 to 1."""

    def wait(self, failed: int) -> float:
        """Seconds to wait after so many failed attempts."""
        return self.jitter() * min(self.most, self.base * 2 ** (failed - 1))


async def retrying(
    call: Callable[[], Awaitable[Value]],
    backoff: Backoff,
    again: Callable[[Exception], float | None],
    *,
    left: Callable[[], float],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> Value:
    """What `call` returns, tried again while `again` says so; for calls that may be repeated only.

    `again` is given the error and returns the least seconds to wait, or None to give up; nor is anything tried again
    that would begin after the seconds that are `left`.
    """
    failed = 0
    while True:
        try:
            return await call()
        except Exception as error:
            failed += 1
            least = again(error)
            if least is None or failed >= backoff.attempts:
                raise
            wait = max(least, backoff.wait(failed))
            if wait >= left():
                raise
        await sleep(wait)

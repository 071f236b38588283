"""A token bucket: so many in a while, a burst at once."""

from __future__ import annotations

import time
from collections.abc import Callable


class TokenBucket:
    """`rate` a second on average, up to `burst` at once."""

    def __init__(self, rate: float, burst: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._seen = clock()

    def take(self) -> float:
        """Take one: 0 where there was one, otherwise the seconds until there is, and nothing is taken."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._seen) * self._rate)
        self._seen = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._rate
        self._tokens -= 1
        return 0.0

"""A retry budget: retries are a share of the calls, so that a crowd of them never makes a bad time worse."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

RATIO = 0.2
LEAST_A_SECOND = 10.0
TTL_SECONDS = 10.0


class RetryBudget:
    """So many retries for each call of the last seconds, and a few in any case."""

    def __init__(
        self,
        *,
        ratio: float = RATIO,
        least: float = LEAST_A_SECOND,
        ttl: float = TTL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ratio = ratio
        self._reserve = least * ttl
        self._ttl = ttl
        self._clock = clock
        self._calls: deque[float] = deque()
        self._retries: deque[float] = deque()

    def called(self) -> None:
        """A call begins: it pays for a share of a retry."""
        now = self._clock()
        self._forget(now)
        self._calls.append(now)

    def retry(self) -> bool:
        """Whether there may be another retry; it is counted then."""
        now = self._clock()
        self._forget(now)
        if len(self._retries) + 1 > self._reserve + len(self._calls) * self._ratio:
            return False
        self._retries.append(now)
        return True

    def _forget(self, now: float) -> None:
        for times in (self._calls, self._retries):
            while times and times[0] <= now - self._ttl:
                times.popleft()

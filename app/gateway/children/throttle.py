"""Keeping a flood from becoming ours: how fast a child is read, and how often the log speaks of the same thing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

Clock = Callable[[], float]

PER_LINE = 256
"""What a line costs us besides its bytes, as so many bytes more."""


class Throttle:
    """Lets so much through a second, and a second's worth at once; beyond that, tells how long to stop reading."""

    def __init__(self, per_second: int, clock: Clock = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._then = clock()
        self._level = 0.0

    def spend(self, amount: int) -> float:
        """Seconds to wait before more is read; 0 for none."""
        now = self._clock()
        self._level = max(0.0, self._level - (now - self._then) * self._per_second) + amount
        self._then = now
        return max(0.0, self._level / self._per_second - 1.0)


class Notices:
    """Log lines of one kind about one server: a few in each span of time, then how many were left out."""

    def __init__(
        self,
        logger: logging.Logger,
        server: str,
        *,
        most: int = 10,
        span: float = 10.0,
        clock: Clock = time.monotonic,
    ) -> None:
        self._logger = logger
        self._server = server
        self._most = most
        self._span = span
        self._clock = clock
        self._until = 0.0
        self._said = self._left_out = 0

    def say(self, level: int, event: str, **facts: object) -> None:
        """Log it, unless much was said lately."""
        now = self._clock()
        if now >= self._until:
            self._until, self._said = now + self._span, 0
        if self._said >= self._most:
            self._left_out += 1
            return
        self._said += 1
        fields: dict[str, object] = {"server": self._server, **facts}
        if self._left_out:
            fields["left_out"], self._left_out = self._left_out, 0
        self._logger.log(level, event, extra={"fields": fields})

"""When a server that ended is started again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarts:
    """Soon at first, then later and later; one that keeps ending is called failed, and tried now and then."""

    attempts: int = 5
    """Ends in a row after which a server is called failed."""
    base: float = 0.2
    most: float = 10.0
    slow: float = 60.0
    """Seconds between the attempts to start one that failed."""
    steady: float = 10.0
    """A life of so many seconds makes the next end the first again."""
    jitter: Callable[[], float] = random.random
    """A number from 0 to 1."""

    def wait(self, ends: int) -> float:
        """Seconds to wait after so many ends in a row; at least half of the full wait, so that none is hasty."""
        full = self.slow if self.failed(ends) else min(self.most, self.base * 2 ** (ends - 1))
        return full * (0.5 + self.jitter() / 2)

    def failed(self, ends: int) -> bool:
        """Whether that is enough."""
        return ends >= self.attempts

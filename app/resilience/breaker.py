"""A circuit breaker: stop asking somebody who fails each time, and see now and then whether they are back."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager


class CircuitOpen(Exception):
    """Not asked, because the last ones failed; `retry_after` is when, in seconds, it will be tried again."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"not asked: it failed too often, and is tried again in {retry_after:.0f} s")
        self.retry_after = retry_after


class CircuitBreaker:
    """Opens after `failures` in a row, for `seconds`; then lets one attempt through, which closes or opens it again.

    `counts` are the exceptions that mean that the other side is in trouble; any other outcome shows that it answers.
    """

    def __init__(
        self,
        counts: tuple[type[Exception], ...],
        *,
        failures: int = 5,
        seconds: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._counts = counts
        self._most = failures
        self._seconds = seconds
        self._clock = clock
        self._failed = 0
        self._opened: float | None = None
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether it failed too often, and nobody has seen it answer since."""
        return self._opened is not None

    @property
    def refuses(self) -> bool:
        """Whether an attempt would not be let through now."""
        return self._opened is not None and (self._trying or self._clock() < self._opened + self._seconds)

    @contextmanager
    def attempt(self) -> Generator[None]:
        """Ask inside of this. Raises `CircuitOpen` instead of asking while the breaker is open."""
        trial = self.enter()
        failed: bool | None = None  # an attempt that is cancelled tells nothing
        try:
            yield
        except self._counts:
            failed = True
            raise
        except Exception:
            failed = False
            raise
        else:
            failed = False
        finally:
            self.leave(trial, failed=failed)

    def enter(self) -> bool:
        """Begin to ask, without a `with`; give what is returned to `leave`. Raises `CircuitOpen`."""
        if self._opened is None:
            return False
        left = self._opened + self._seconds - self._clock()
        if left > 0 or self._trying:
            raise CircuitOpen(max(left, 1.0))
        self._trying = True
        return True

    def leave(self, trial: bool, *, failed: bool | None) -> None:
        """What became of it; None tells nothing, and makes room for the next where this was the one that decides."""
        if trial:
            self._trying = False
        if failed:
            self._fail(trial=trial)
        elif failed is not None:
            self._failed = 0
            self._opened = None

    def reset(self) -> None:
        """Another one is in its place: what the former did tells nothing."""
        self._failed = 0
        self._opened = None

    def _fail(self, *, trial: bool) -> None:
        self._failed += 1
        if trial or (self._opened is None and self._failed >= self._most):
            self._opened = self._clock()

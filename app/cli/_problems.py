"""What stops the program from starting, and how it is told."""

from __future__ import annotations

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager

USAGE = 2  # the exit status for a mistake in the settings or the command line
FAILED = 1


class WiringError(Exception):
    """The settings are well-formed, but nothing can be built of them; the message names the variable and the remedy."""


@contextmanager
def wiring_redis() -> Generator[None]:
    """Around the import and the making of something that keeps its things in Redis. Raises `WiringError`."""
    try:
        yield
    except ImportError:
        raise WiringError("REDIS_URL is set, but the redis package is missing: pip install 'slipway[redis]'") from None
    except ValueError as error:
        raise WiringError(f"REDIS_URL=(hidden) is wrong: {error}") from None


def complain(problems: Sequence[object], status: int = USAGE) -> int:
    """Say on stderr what is wrong; the exit status."""
    head = "slipway cannot start:" if len(problems) == 1 else f"slipway cannot start, for {len(problems)} reasons:"
    sys.stderr.write("\n".join((head, *(f"  {problem}" for problem in problems), "")))
    return status

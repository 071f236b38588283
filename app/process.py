"""What belongs to the process itself: its event loop, its limits, its sudden end."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

logger = logging.getLogger("slipway.process")

LEAVE = signal.SIGUSR1  # sent before the drain: be unready, and serve on


def end_now() -> None:
    """Leave without finishing anything: somebody asked twice."""
    logger.warning("asked to end a second time: ending at once")
    sys.stderr.flush()
    os._exit(1)


def raise_file_limit() -> None:
    """As many open connections as this user may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def settle_memory() -> None:
    """What was imported stays: from now on, no collection walks it again."""
    gc.collect()
    gc.freeze()
    gc.enable()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop

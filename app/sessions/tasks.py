"""Ending background tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable


async def stop(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel the tasks and return when they have ended.

    Again and again: `asyncio.wait_for` of Python 3.11, which the redis package uses, can swallow a cancellation.
    """
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=0.1)

"""Noticing that a file has changed, as files of a ConfigMap do: by another file in their place."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

_SECONDS = 2.0


async def on_change(path: Path, changed: Callable[[], Awaitable[None]], *, every: float = _SECONDS) -> None:
    """Call `changed` each time that the content is another. Runs until it is cancelled."""
    seen = _content(path)
    while True:
        await asyncio.sleep(every)
        now = await asyncio.to_thread(_content, path)
        if now != seen:
            seen = now
            await changed()


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None

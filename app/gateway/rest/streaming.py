"""Lines as server-sent events, until there are no more, the client goes, or the gateway drains."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress

import msgspec

_KEEP_ALIVE = 15.0


async def line_events(lines: AsyncIterator[str], closing: asyncio.Event) -> AsyncGenerator[bytes]:
    """One event a line, a comment now and then so that nobody takes the stream for dead, and one event at its end."""
    ended = asyncio.ensure_future(closing.wait())
    following: asyncio.Future[str] | None = None
    try:
        yield b": the log follows\n\n"
        while not ended.done():
            if following is None:
                following = asyncio.ensure_future(anext(lines))
            await asyncio.wait({following, ended}, timeout=_KEEP_ALIVE, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                try:
                    line = following.result()
                except StopAsyncIteration:
                    break
                following = None
                yield b"data: " + msgspec.json.encode({"line": line}) + b"\n\n"
            elif not ended.done():
                yield b": still here\n\n"
        yield b"event: end\ndata: {}\n\n"
    finally:
        for task in (following, ended):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, StopAsyncIteration, Exception):
                    await task
        if isinstance(lines, AsyncGenerator):
            await lines.aclose()

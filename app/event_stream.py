"""A stream of server-sent events that goes on until its client leaves, stalls, or the server drains."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from app.asgi import Receive, Send

PATIENCE = 15.0
"""Seconds of silence after which a comment is sent, so that proxies keep the stream open."""
GREETING = b"retry: 1000\n\n"
_PING = b": still here\n\n"
_STALLED = 60.0  # seconds in which a client must take what it is sent
_HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)


Following = Callable[[], Awaitable[bytes | None]]
"""Waits for what comes next: bytes of events, none where there is nothing to send, None at the end."""


class Ends(Protocol):
    """What is watched, and can be told that its client left."""

    def end(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStream:
    """How one endpoint streams."""

    path: str
    logger: logging.Logger
    patience: float = PATIENCE

    async def begin(self, send: Send, first: bytes = GREETING) -> None:
        """The answer's head, and its first bytes."""
        await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
        await _write(send, first)

    async def follow(self, watcher: Ends, following: Following, receive: Receive, send: Send) -> None:
        """Send what `following` returns, again and again, until that is None."""
        leaving = asyncio.create_task(_left(receive, watcher))
        try:
            await _tell(following, send, self.patience)
            if not leaving.done():
                await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            # Left unfinished, the connection is closed: the client comes back to where it was.
            self.logger.info(
                "a client of %s took nothing for too long", self.path, extra={"fields": {"seconds": _STALLED}}
            )
        finally:
            leaving.cancel()


async def _tell(following: Following, send: Send, patience: float) -> None:
    while True:
        try:
            async with asyncio.timeout(patience):
                data = await following()
        except TimeoutError:
            data = _PING
        if data is None:
            return
        if data:
            await _write(send, data)


async def _write(send: Send, data: bytes) -> None:
    async with asyncio.timeout(_STALLED):
        await send({"type": "http.response.body", "body": data, "more_body": True})


async def _left(receive: Receive, watcher: Ends) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    watcher.end()

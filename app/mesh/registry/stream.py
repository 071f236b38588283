"""`/watch`: what happens to agents, as server-sent events.

The first event is `ready`, with the place from which events follow: look agents up after it, and miss nothing. Each
event's id is a place in the changes of all replicas: a client that comes back with it as `Last-Event-ID`, to any of
them, gets what it missed, or `reset` where that is too much or too long ago: it has to look anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from app.asgi import Receive, Scope, Send
from app.mesh.checks import check_name
from app.mesh.problems import Problem
from app.mesh.registry.access import Access
from app.mesh.registry.http import Parameters, header, method_not_allowed
from app.mesh.registry.watch import Event, Hub, Watcher

logger = logging.getLogger("slipway.registry")

PATIENCE = 15.0
"""Seconds of silence after which a comment is sent, so that proxies keep the stream open."""
_STALLED = 60.0  # seconds in which a client must take what it is sent
_HEADERS = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)
_GREETING = b"retry: 1000\n\n"
_PING = b": still here\n\n"
_KNOWN = frozenset({"capability", "last_event_id"})
_LONGEST_ID = 100


class WatchStream:
    """The endpoint at `/watch`."""

    def __init__(self, hub: Hub, access: Access, *, most: int = 1_000, patience: float = PATIENCE) -> None:
        self._hub = hub
        self._access = access
        self._most = most
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the client leaves, stalls, or the server drains. Raises `Problem`."""
        if scope["method"] != "GET":
            raise method_not_allowed(scope["method"], "GET")
        self._access.reader(scope)
        query = Parameters(scope, _KNOWN)
        capability = query.one("capability")
        if capability is not None:
            check_name("capability", capability)
        if len(self._hub) >= self._most:
            raise Problem(503, "Try again later", f"{self._most} streams are open: try again", retry_after=5)
        after = (header(scope, b"last-event-id") or query.one("last_event_id") or "")[:_LONGEST_ID]
        with self._hub.watch(capability, after) as watcher:
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            await _write(send, _GREETING if after else _GREETING + self._place(b"ready"))
            await self._stream(watcher, receive, send)

    async def _stream(self, watcher: Watcher, receive: Receive, send: Send) -> None:
        leaving = asyncio.create_task(_left(receive, watcher))
        try:
            await self._tell(watcher, send)
            if not leaving.done():
                await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            # Left unfinished, the connection is closed: the client comes back to where it was.
            logger.info("a client of /watch took nothing for too long", extra={"fields": {"seconds": _STALLED}})
        finally:
            leaving.cancel()

    async def _tell(self, watcher: Watcher, send: Send) -> None:
        while True:
            try:
                async with asyncio.timeout(self._patience):
                    events = await watcher.next()
            except TimeoutError:
                await _write(send, _PING)
                continue
            if events is None:
                return
            await _write(send, _encoded(events) if events else self._place(b"reset"))

    def _place(self, name: bytes) -> bytes:
        return b"event: %b\nid: %b\ndata: {}\n\n" % (name, self._hub.position.encode())


def _encoded(events: Sequence[Event]) -> bytes:
    return b"".join(event.encode() for event in events)


async def _write(send: Send, data: bytes) -> None:
    async with asyncio.timeout(_STALLED):
        await send({"type": "http.response.body", "body": data, "more_body": True})


async def _left(receive: Receive, watcher: Watcher) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    watcher.end()

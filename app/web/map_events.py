"""`/events?session_id=…`: a map's changes as server-sent events.

The first event is `state`, the whole map; each that follows is `patch`, what has changed since the one before. Its id
is a place in the map's history: a client that comes back with it as `Last-Event-ID`, to any replica, gets what it
missed, as one patch where the log still has it, or else a `state`. What changes faster than a client reads is summed
up: it gets fewer and larger patches.
"""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import parse_qs

from app.asgi import Receive, Scope, Send, respond_json
from app.sessions.store import StoreUnavailable
from app.toolsets.map.model import DEFAULT_SESSION, Patch, Position, Snapshot, is_session
from app.toolsets.map.rooms import Rooms, Watcher

logger = logging.getLogger("slipway.map")

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


class MapEvents:
    """The ASGI application at `/events`."""

    def __init__(self, rooms: Rooms, *, patience: float = PATIENCE) -> None:
        self._rooms = rooms
        self._patience = patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the client leaves, stalls, or the server drains."""
        if scope["method"] != "GET":
            error = {"error": f"{scope['method']} is not served here: use GET"}
            await respond_json(send, 405, error, headers=((b"allow", b"GET"),))
            return
        query = parse_qs(scope["query_string"].decode("latin-1"))
        session = query.get("session_id", [DEFAULT_SESSION])[0]
        if not is_session(session):
            error = {"error": "session_id is not a map's name: 1 to 128 letters, digits, - _ and ."}
            await respond_json(send, 400, error)
            return
        after = Position.parse(_last_event_id(scope) or query.get("last_event_id", [""])[0])
        try:
            async with self._rooms.watch(session, after) as watcher:
                await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
                await _write(send, _GREETING)
                await self._stream(watcher, receive, send)
        except StoreUnavailable as error:
            again = ((b"retry-after", b"%d" % error.retry_after),)
            await respond_json(send, 503, {"error": "the maps' store does not answer: try again"}, headers=again)

    async def _stream(self, watcher: Watcher, receive: Receive, send: Send) -> None:
        leaving = asyncio.create_task(_left(receive, watcher))
        try:
            await self._tell(watcher, send)
            if not leaving.done():
                await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            # Left unfinished, the connection is closed: the client comes back to where it was.
            logger.info("a client of /events took nothing for too long", extra={"fields": {"seconds": _STALLED}})
        finally:
            leaving.cancel()

    async def _tell(self, watcher: Watcher, send: Send) -> None:
        while True:
            try:
                async with asyncio.timeout(self._patience):
                    told = await watcher.next()
            except TimeoutError:
                await _write(send, _PING)
                continue
            except StoreUnavailable as error:
                await asyncio.sleep(error.retry_after)
                continue
            if told is None:
                return
            await _write(send, _event(told))


def _event(told: Snapshot | Patch) -> bytes:
    name = b"state" if isinstance(told, Snapshot) else b"patch"
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name, str(told.position).encode(), told.encode())


async def _write(send: Send, data: bytes) -> None:
    async with asyncio.timeout(_STALLED):
        await send({"type": "http.response.body", "body": data, "more_body": True})


async def _left(receive: Receive, watcher: Watcher) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    watcher.end()


def _last_event_id(scope: Scope) -> str:
    return next((value.decode("latin-1").strip() for name, value in scope["headers"] if name == b"last-event-id"), "")

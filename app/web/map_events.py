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
from app.event_stream import PATIENCE, EventStream
from app.sessions.store import StoreUnavailable
from app.toolsets.map.model import DEFAULT_SESSION, Patch, Position, Snapshot, is_session
from app.toolsets.map.rooms import Rooms

logger = logging.getLogger("slipway.map")


class MapEvents:
    """The ASGI application at `/events`."""

    def __init__(self, rooms: Rooms, *, patience: float = PATIENCE) -> None:
        self._rooms = rooms
        self._events = EventStream(path="/events", logger=logger, patience=patience)

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
                await self._events.begin(send)

                async def following() -> bytes | None:
                    try:
                        told = await watcher.next()
                    except StoreUnavailable as error:
                        await asyncio.sleep(error.retry_after)
                        return b""
                    return None if told is None else _event(told)

                await self._events.follow(watcher, following, receive, send)
        except StoreUnavailable as error:
            again = ((b"retry-after", b"%d" % error.retry_after),)
            await respond_json(send, 503, {"error": "the maps' store does not answer: try again"}, headers=again)


def _event(told: Snapshot | Patch) -> bytes:
    name = b"state" if isinstance(told, Snapshot) else b"patch"
    return b"event: %b\nid: %b\ndata: %b\n\n" % (name, str(told.position).encode(), told.encode())


def _last_event_id(scope: Scope) -> str:
    return next((value.decode("latin-1").strip() for name, value in scope["headers"] if name == b"last-event-id"), "")

"""`/watch`: what happens to agents, as server-sent events.

The first event is `ready`, with the place from which events follow: look agents up after it, and miss nothing. Each
event's id is a place in the changes of all replicas: a client that comes back with it as `Last-Event-ID`, to any of
them, gets what it missed, or `reset` where that is too much or too long ago: it has to look anew.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from app.asgi import Receive, Scope, Send
from app.event_stream import GREETING, PATIENCE, EventStream
from app.mesh.checks import check_name
from app.mesh.problems import Problem
from app.mesh.registry.access import Access
from app.mesh.registry.http import Parameters, header, method_not_allowed
from app.mesh.registry.watch import Event, Hub

logger = logging.getLogger("slipway.registry")

_KNOWN = frozenset({"capability", "last_event_id"})
_LONGEST_ID = 100


class WatchStream:
    """The endpoint at `/watch`."""

    def __init__(self, hub: Hub, access: Access, *, most: int = 1_000, patience: float = PATIENCE) -> None:
        self._hub = hub
        self._access = access
        self._most = most
        self._events = EventStream(path="/watch", logger=logger, patience=patience)

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
            await self._events.begin(send, GREETING if after else GREETING + self._place(b"ready"))

            async def following() -> bytes | None:
                events = await watcher.next()
                if events is None:
                    return None
                return _encoded(events) if events else self._place(b"reset")

            await self._events.follow(watcher, following, receive, send)

    def _place(self, name: bytes) -> bytes:
        return b"event: %b\nid: %b\ndata: {}\n\n" % (name, self._hub.position.encode())


def _encoded(events: Sequence[Event]) -> bytes:
    return b"".join(event.encode() for event in events)

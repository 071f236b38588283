"""Every view of a catalogue on every transport: `/mcp`, `/sse` and `/messages`, at the root and under a prefix."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from app.asgi import ASGIApp, Receive, Scope, Send
from app.cli._relay import ChangeRelay
from app.gateway.catalogue.catalogue import Catalogue
from app.gateway.catalogue.view import View
from app.protocol.changes import Change
from app.protocol.dispatcher import Dispatcher
from app.sessions.store import SessionStore
from app.transports._channel import Switchboard
from app.transports.http import StreamableHttp
from app.transports.messages import BareMessages
from app.transports.sse import SseTransport
from app.transports.websocket import WebSocketTransport

_PATH = re.compile(r"(/(servers|virtual)/([^/]{1,63}))(/mcp|/sse|/messages)")

Before = Callable[[], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class Ground:
    """What all views have in common."""

    dispatcher: Callable[[View], Dispatcher]
    """Makes the dispatcher of a view."""
    store: SessionStore
    board: Switchboard
    max_body_bytes: int
    relayed: bool
    """News reach the sessions of other replicas."""
    before: Before | None = None
    """Waited for before anything is served."""
    draining: bool = field(default=False)


class HostedView:
    """One view with its transports."""

    def __init__(self, view: View, ground: Ground, prefix: str = "") -> None:
        self.view = view
        self.dispatcher = ground.dispatcher(view)
        changes = self.dispatcher.changes
        view.listen_updates(lambda uri: changes.tell(Change("resource", uri)))
        self._relay = ChangeRelay(changes, ground.store, f"changes{prefix}") if ground.relayed else None
        body = ground.max_body_bytes
        to = (self.dispatcher, ground.store, ground.board)
        self._streamable = StreamableHttp(*to, max_body_bytes=body)
        self._sse = SseTransport(*to, max_body_bytes=body)
        self._websocket = WebSocketTransport(*to)
        bare = BareMessages(self.dispatcher, max_body_bytes=body, with_session=self._sse)
        self.http: dict[str, ASGIApp] = {
            path: _at(prefix, path, app, ground.before)
            for path, app in (("/mcp", self._streamable), ("/sse", self._sse), ("/messages", bare))
        }
        self.websocket: dict[str, ASGIApp] = {"/mcp": _at(prefix, "/mcp", self._websocket, ground.before)}
        self._ready = False

    async def start(self) -> None:
        """Begin to hear of what other replicas tell."""
        if self._relay is not None:
            await self._relay.start()

    async def drain(self) -> None:
        """End what is long-lived, finish what runs."""
        self.dispatcher.close_listeners()
        await asyncio.gather(self._streamable.drain(), self._sse.drain(), self._websocket.drain())

    async def close(self) -> None:
        """Let go of everything."""
        if self._relay is not None:
            await self._relay.close()
        await self.dispatcher.close()


class Views:
    """The view at the root, and those of the servers, made when they are first asked for."""

    def __init__(self, catalogue: Catalogue, root: View, ground: Ground) -> None:
        self.root = HostedView(root, ground)
        self._catalogue = catalogue
        self._ground = ground
        self._hosted: dict[str, HostedView] = {}
        self._leaving: set[asyncio.Task[None]] = set()

    def find(self, kind: str, path: str) -> ASGIApp | None:
        """What serves a path under `/servers/<id>` or `/virtual/<name>`; None where there is no such server."""
        found = _PATH.fullmatch(path)
        if found is None:
            return None
        prefix, group, name, rest = found[1], found[2], found[3], found[4]
        view = self._catalogue.server(name) if group == "servers" else self._catalogue.virtual(name)
        hosted = self._hosted.get(prefix)
        if hosted is not None and hosted.view is not view:
            self._leave(prefix)
            hosted = None
        if view is None:
            return None
        if hosted is None:
            hosted = self._hosted[prefix] = HostedView(view, self._ground, prefix)
            self._do(hosted.start())
        return (hosted.http if kind == "http" else hosted.websocket).get(rest)

    async def start(self) -> None:
        """Begin with the view at the root."""
        await self.root.start()

    async def drain(self) -> None:
        """End what is long-lived, finish what runs."""
        await asyncio.gather(self.root.drain(), *(hosted.drain() for hosted in self._hosted.values()))

    async def close(self) -> None:
        """Let go of everything."""
        for prefix in tuple(self._hosted):
            self._leave(prefix)
        await asyncio.gather(*self._leaving)
        await self.root.close()

    def forget(self) -> None:
        """Let go of views whose servers are gone."""
        for prefix, hosted in tuple(self._hosted.items()):
            group, name = prefix.split("/")[1:]
            view = self._catalogue.server(name) if group == "servers" else self._catalogue.virtual(name)
            if view is not hosted.view:
                self._leave(prefix)

    def _leave(self, prefix: str) -> None:
        hosted = self._hosted.pop(prefix)

        async def end() -> None:
            hosted.dispatcher.close_listeners()
            await hosted.close()

        self._do(end())

    def _do(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


def _at(prefix: str, path: str, app: ASGIApp, before: Before | None) -> ASGIApp:
    """The app, told where it is; alone at the root it needs no telling."""
    if before is not None:
        served, wait = app, before

        async def patiently(scope: Scope, receive: Receive, send: Send) -> None:
            await wait()
            await served(scope, receive, send)

        app = patiently
    if not prefix:
        return app

    async def below(scope: Scope, receive: Receive, send: Send) -> None:
        outer: str = scope.get("root_path", "")
        await app({**scope, "path": path, "root_path": outer + prefix}, receive, send)

    return below

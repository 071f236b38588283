"""All managed servers of this replica, kept in step with the store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from app.gateway.manager.expiry import Expiry
from app.gateway.manager.model import ServerStatus, UnknownServer, Wanted
from app.gateway.manager.parts import Parts
from app.gateway.manager.server import Server
from app.gateway.manager.store import StoreError
from app.sessions.tasks import stop

logger = logging.getLogger("slipway.gateway.manager")

_AGAIN_AFTER = 1.0


class Fleet:
    """The servers by id. Whoever changes one holds its `lock`."""

    def __init__(self, parts: Parts, expired: Callable[[str], None]) -> None:
        self.servers: dict[str, Server] = {}
        self.expiry = Expiry(expired)
        self._parts = parts
        self._locks: dict[str, asyncio.Lock] = {}
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._changed: set[str | None] = set()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._open = False

    async def open(self) -> None:
        """Take up everything that is wanted, and follow the changes of other replicas."""
        self._parts.store.follow(self._hear)
        try:
            await self._sync_all()
        except StoreError as error:
            logger.warning("the servers that shall run are not known yet: %s", error)
            self._hear(None)
        self._open = True
        self._task = asyncio.create_task(self._keep_in_step(), name="servers in step")

    async def close(self) -> None:
        """Let go of every server."""
        self.expiry.close()
        if self._task is not None:
            await stop([self._task])
        await asyncio.gather(*(server.let_go() for server in self.servers.values()))

    def get(self, server: str) -> Server:
        found = self.servers.get(server)
        if found is None:
            raise UnknownServer(server)
        return found

    def lock(self, server: str) -> asyncio.Lock:
        """Held by whoever changes that server."""
        return self._locks.setdefault(server, asyncio.Lock())

    def add(self, wanted: Wanted) -> Server:
        """Begin to keep one up."""
        server = self.servers[wanted.id] = Server(wanted, self._parts, lambda changed: self._wake(changed.id))
        self.expiry.set(wanted.id, wanted.expires)
        server.keep_up()
        return server

    async def take_down(self, server: Server) -> None:
        """End one and forget it."""
        self.expiry.set(server.id, None)
        await server.take_down()
        self.servers.pop(server.id, None)
        self._wake(server.id)

    async def sync(self, server: str) -> None:
        """Bring one in step with the store; for the holder of its lock."""
        await self._bring_in_step(server, (await self._parts.store.load()).get(server))

    async def until(self, server: str, seconds: float, enough: Callable[[ServerStatus], bool]) -> ServerStatus:
        """The status once it is enough, or when the time is over; raises `UnknownServer`, also when it goes."""
        event = asyncio.Event()
        self._waiting.setdefault(server, set()).add(event)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while not enough(self.get(server).status()):
                        event.clear()
                        await event.wait()
            return self.get(server).status()
        finally:
            waiting = self._waiting[server]
            waiting.discard(event)
            if not waiting:
                del self._waiting[server]

    def _wake(self, server: str) -> None:
        for event in self._waiting.get(server, ()):
            event.set()

    def _hear(self, server: str | None) -> None:
        self._changed.add(server)
        self._news.set()

    async def _keep_in_step(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            changed, self._changed = self._changed, set[str | None]()
            try:
                if None in changed:
                    await self._sync_all()
                else:
                    wanted = await self._parts.store.load()
                    await asyncio.gather(*(self._step(server, wanted) for server in changed if server is not None))
            except StoreError as error:
                logger.warning("the servers could not be brought in step: %s", error)
                self._changed |= changed
                self._news.set()
                await asyncio.sleep(_AGAIN_AFTER)
            except Exception:
                logger.exception("bringing the servers in step failed")
                await asyncio.sleep(_AGAIN_AFTER)

    async def _sync_all(self) -> None:
        wanted = await self._parts.store.load()
        await asyncio.gather(*(self._step(server, wanted) for server in {*self.servers, *wanted}))

    async def _step(self, server: str, wanted: dict[str, Wanted]) -> None:
        async with self.lock(server):
            known, found = self.servers.get(server), wanted.get(server)
            if self._open and (known is None or found is None or known.wanted != found):
                # Whoever held the lock may have changed what was read before: a stopped server must not come back.
                await self.sync(server)
            else:
                await self._bring_in_step(server, found)

    async def _bring_in_step(self, server: str, wanted: Wanted | None) -> None:
        known = self.servers.get(server)
        if wanted is None:
            if known is not None:
                await self.take_down(known)
        elif known is None:
            self.add(wanted)
        elif (known.wanted.spec, known.wanted.instance) != (wanted.spec, wanted.instance):
            self.expiry.set(server, wanted.expires)
            await known.change(wanted)
        else:
            known.wanted = wanted
            self.expiry.set(server, wanted.expires)
            known.nudge()

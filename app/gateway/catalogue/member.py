"""One server in the catalogue: its lists as last read, read again when it says that they changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine

import msgspec

from app.gateway.catalogue.forwarding import Forwarder
from app.gateway.catalogue.offers import Lists, Offers, offers_of
from app.gateway.catalogue.parking import CarPark
from app.gateway.manager.seams import Listing
from app.gateway.upstream import CONNECTED, LOST, ListName, News, Upstream, UpstreamFailure, UpstreamUnavailable
from app.protocol.handlers import ListKind

logger = logging.getLogger("slipway.gateway")

ALL: tuple[ListName, ...] = ("tools", "prompts", "resources", "templates")
_CHANGED: dict[str, tuple[ListName, ...]] = {
    "notifications/tools/list_changed": ("tools",),
    "notifications/prompts/list_changed": ("prompts",),
    "notifications/resources/list_changed": ("resources", "templates"),
    CONNECTED: ALL,
}
_KIND: dict[ListName, ListKind] = {
    "tools": "tools",
    "prompts": "prompts",
    "resources": "resources",
    "templates": "resources",
}
SETTLING = 0.05
"""Seconds in which several changes of a list are one."""

_MOST_WATCHED = 1_000


class _Uri(msgspec.Struct):
    uri: str


_decode_uri = msgspec.json.Decoder(_Uri).decode
Changed = Callable[[set[ListKind]], None]


class Member:
    """One server. `changed` is told of lists that are not what they were, `updated` of resources."""

    def __init__(
        self,
        server_id: str,
        upstream: Upstream,
        *,
        park: CarPark,
        seconds: float,
        changed: Changed,
        updated: Callable[[Member, str], None],
    ) -> None:
        self.id = server_id
        self.forwarder = Forwarder(server_id, upstream, park, seconds)
        self.lists = Lists()
        self.stale = False
        """The lists are those of when the server was last reached."""
        self._park = park
        self._seconds = seconds
        self._changed = changed
        self._updated = updated
        self._offers: dict[bool, Offers] = {}
        self._unfollow: Callable[[], None] | None = None
        self._dirty: set[ListName] = set()
        self._said: set[ListKind] = set()
        """Lists of which the server itself said that they changed."""
        self._timer: asyncio.TimerHandle | None = None
        self._reading: asyncio.Task[None] | None = None
        self._unread: dict[ListName, str] = {}
        self._watchers: dict[str, set[str]] = {}
        self._background: set[asyncio.Task[None]] = set()

    @property
    def upstream(self) -> Upstream:
        """The server itself."""
        return self.forwarder.upstream

    async def attach(self, upstream: Upstream) -> None:
        """Take the server's place, or a new life of it, and read its lists; what it had is served until then."""
        await self._let_go()
        self.forwarder = Forwarder(self.id, upstream, self._park, self._seconds)
        self._unfollow = upstream.follow(self._hear)
        self._offers.clear()
        if upstream.about is None:
            self.stale = True
            self._changed(set())
            return
        await self._read(set(ALL), set())
        self._subscribe_again()

    async def detach(self) -> None:
        """Let go of the server, which stays open."""
        await self._let_go()
        for task in tuple(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)

    def offers(self, *, beside_others: bool) -> Offers:
        """What it offers, made once for each change."""
        known = self._offers.get(beside_others)
        if known is None:
            known = offers_of(self.lists, self.forwarder, beside_others=beside_others, stale=self.stale)
            self._offers[beside_others] = known
        return known

    def listing(self) -> Listing:
        """What there is of it, and what is wrong with it."""
        offers = self.offers(beside_others=True)
        problems = [*self._unread.values(), *offers.problems]
        if not self.stale and not offers.tools and "tools" not in self._unread:
            others = f"{len(offers.prompts)} prompts and {len(offers.resources)} resources"
            problems.append(f"It started, but offers no tools ({others}): see its log and its settings.")
        return Listing(
            tools=len(offers.tools),
            prompts=len(offers.prompts),
            resources=len(offers.resources) + len(offers.templates),
            stale=self.stale,
            problems=tuple(problems),
        )

    async def watch(self, uri: str, watcher: str) -> None:
        """Have the server tell of a resource; raises `ProtocolError`."""
        watchers = self._watchers.get(uri)
        if watchers is None:
            await self.forwarder.plain("resources/subscribe", {"uri": uri})
            watchers = self._watchers.setdefault(uri, set())
            while len(self._watchers) > _MOST_WATCHED:
                self._forget(next(iter(self._watchers)))
        watchers.add(watcher)

    def unwatch(self, uri: str, watcher: str) -> None:
        """Nobody else may want to hear of it any more: then the server need not tell."""
        watchers = self._watchers.get(uri)
        if watchers is not None:
            watchers.discard(watcher)
            if not watchers:
                self._forget(uri)

    def _forget(self, uri: str) -> None:
        del self._watchers[uri]
        self._in_background(self._unsubscribe(uri))

    def _subscribe_again(self) -> None:
        for uri in self._watchers:
            self._in_background(self._subscribe(uri))

    async def _subscribe(self, uri: str) -> None:
        await self._quietly("resources/subscribe", uri)

    async def _unsubscribe(self, uri: str) -> None:
        await self._quietly("resources/unsubscribe", uri)

    async def _quietly(self, method: str, uri: str) -> None:
        try:
            await self.forwarder.plain(method, {"uri": uri})
        except Exception as error:  # nobody waits for it
            logger.debug("%s of %s failed: %s", method, self.id, error)

    def _in_background(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _hear(self, news: News) -> None:
        if news.method == LOST:
            self._lost()
        elif news.method in _CHANGED:
            self._dirty.update(_CHANGED[news.method])
            if news.method == CONNECTED:
                self._subscribe_again()
            else:
                self._said.update(_KIND[name] for name in _CHANGED[news.method])
            if self._timer is None and (self._reading is None or self._reading.done()):
                delay = 0 if news.method == CONNECTED else SETTLING
                self._timer = asyncio.get_running_loop().call_later(delay, self._begin_reading)
        elif news.method == "notifications/resources/updated" and news.params is not None:
            try:
                uri = _decode_uri(news.params).uri
            except (msgspec.DecodeError, ValueError):
                return
            self._updated(self, uri)

    def _lost(self) -> None:
        if not self.stale:
            self.stale = True
            self._offers.clear()
            self._changed(set())

    def _begin_reading(self) -> None:
        self._timer = None
        self._reading = asyncio.create_task(self._read_dirty(), name=f"lists of {self.id}")

    async def _read_dirty(self) -> None:
        while self._dirty:
            names, self._dirty = self._dirty, set()
            said, self._said = self._said, set()
            await self._read(names, said)
            if self._dirty:
                await asyncio.sleep(SETTLING)

    async def _read(self, names: set[ListName], said: set[ListKind]) -> None:
        """Read lists at the same time; one that cannot be read stays what it was. `said` are told of in any case."""
        ordered: list[ListName] = sorted(names)
        outcomes = await asyncio.gather(*(self._list(name) for name in ordered))
        found: dict[ListName, tuple[bytes, ...]] = {}
        for name, outcome in zip(ordered, outcomes, strict=True):
            if isinstance(outcome, str):
                self._unread[name] = f"Its {name} could not be read: {outcome}"
                logger.warning("%s: the %s could not be read: %s", self.id, name, outcome)
            else:
                self._unread.pop(name, None)
                found[name] = outcome
        changed: set[ListKind] = {_KIND[name] for name, items in found.items() if items != getattr(self.lists, name)}
        was_stale, self.stale = self.stale, self.stale and not found
        if changed or was_stale != self.stale:
            kept = {name: getattr(self.lists, name) for name in ALL}
            self.lists = Lists(**{**kept, **found})
            self._offers.clear()
        self._changed(changed | said)
        for problem in self.listing().problems:
            logger.warning("%s: %s", self.id, problem)

    async def _list(self, name: ListName) -> tuple[bytes, ...] | str:
        try:
            async with asyncio.timeout(self._seconds):
                return tuple(bytes(item) for item in await self.upstream.list(name))
        except UpstreamFailure as error:
            return f"it answered '{error.message}' ({error.code})."
        except UpstreamUnavailable as error:
            return str(error)
        except TimeoutError:
            return f"it did not answer within {self._seconds:g} s."

    async def _let_go(self) -> None:
        if self._unfollow is not None:
            self._unfollow()
            self._unfollow = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            self._reading = None
        self._dirty.clear()
        self._said.clear()

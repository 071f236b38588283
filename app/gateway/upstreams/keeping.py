"""A link that is kept: reached again in the background whenever it was lost, with news of both."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from app.gateway.upstream import CONNECTED, LOST, About, News, UpstreamUnavailable
from app.gateway.upstreams.link import Link
from app.gateway.upstreams.logs import LogLevel
from app.gateway.upstreams.options import UpstreamOptions
from app.gateway.upstreams.subscriptions import Subscriptions
from app.listeners import Listeners

_log = logging.getLogger("slipway.gateway")
_MOST_DOUBLINGS = 20

MakeLink = Callable[[Callable[[News], None], Callable[[str], None]], Link]
"""Makes the link of a server, given what takes its news and what is told that it was lost."""


class KeptLink:
    """One server's link, and what has to be done anew each time that it is reached."""

    def __init__(self, server_id: str, make: MakeLink, options: UpstreamOptions) -> None:
        self.link = make(self.announce, self.lose)
        self.about: About | None = None
        self.up = False
        self.epoch = 0
        """Grows each time that it is reached."""
        self.reason = "it was not reached yet"
        """Why it is not there."""
        self.level: LogLevel | None = None
        """Of a server that has one for all of its clients."""
        self.subscriptions = Subscriptions(self.link, self.announce, server_id)
        self._id = server_id
        self._options = options
        self._connecting = asyncio.Lock()
        self._ready = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._failures = 0
        self._reached = 0.0
        self._loss_told = True
        self._closed = False
        self._listeners = Listeners[News]()

    async def open(self) -> None:
        """Reach it; raises `UpstreamUnavailable`, and goes on in the background."""
        try:
            await self.connect(self.epoch)
        except UpstreamUnavailable:
            self._keep()
            raise

    async def connect(self, epoch: int) -> None:
        """Reach it, unless somebody has since that epoch; raises `UpstreamUnavailable`."""
        async with self._connecting:
            if self._closed:
                raise UpstreamUnavailable(f"Server {self._id!r} was let go.", unsent=True)
            if self.epoch != epoch and self.up:
                return
            try:
                about = await self.link.open()
            except UpstreamUnavailable as error:
                self.reason = str(error)
                raise UpstreamUnavailable(f"Server {self._id!r}: {error}.", unsent=True) from None
            self._reach(about)
        _log.info("server %r is connected: %s %s, revision %s", self._id, about.name, about.version, about.revision)
        self.announce(News(CONNECTED))

    def lose(self, reason: str) -> None:
        """It is gone."""
        if not self.up:
            return
        self.up = False
        self.reason = reason
        self._ready.clear()
        self.subscriptions.stop()
        lasted = asyncio.get_running_loop().time() - self._reached
        self._failures = 0 if lasted >= self._options.stable_seconds else self._failures + 1
        _log.warning("server %r is lost: %s", self._id, reason)
        self.announce(News(LOST))
        self._keep()

    async def renew(self, epoch: int) -> None:
        """Begin a new session, once for all who found the old one ended."""
        try:
            await self.connect(epoch)
        except UpstreamUnavailable as error:
            self.lose(str(error))
            raise

    async def there_within(self, seconds: float) -> bool:
        """Whether it is there, or comes back in that time."""
        if not self.up and seconds > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._ready.wait()
        return self.up

    def tells(self) -> bool | None:
        """Whether a failed request tells that the server fails: of all that ran when it was lost, only the first."""
        if self.up:
            return True
        told, self._loss_told = self._loss_told, True
        return None if told else True

    def follow(self, listener: Callable[[News], None]) -> Callable[[], None]:
        """Tell news, until the function that this returns is called."""
        return self._listeners.add(listener)

    def announce(self, news: News) -> None:
        """Tell all who follow."""
        for listener in self._listeners:
            try:
                listener(news)
            except Exception:
                _log.exception("news of server %r were not taken", self._id)

    async def close(self) -> None:
        """Let go for good."""
        self._closed = True
        self.up = False
        self.reason = "it was let go"
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        await self.subscriptions.close()
        if self.level is not None:
            await self.level.close()
        await self.link.close()

    def _reach(self, about: About) -> None:
        self.epoch += 1
        self.about = about
        self.up = True
        self._reached = asyncio.get_running_loop().time()
        self._loss_told = False
        self._ready.set()
        if self.level is not None:
            self.level.stop()
        one_for_all = not self.link.dialect.stateless and "logging" in about.capabilities
        self.level = LogLevel(self.link, self._id) if one_for_all else None
        self.subscriptions.start(about)

    def _keep(self) -> None:
        if not self._closed and (self._keeper is None or self._keeper.done()):
            self._keeper = asyncio.create_task(self._reconnect(), name=f"reconnect {self._id}")

    async def _reconnect(self) -> None:
        while not self.up:
            if self._failures:
                await asyncio.sleep(self._options.reconnect.wait(min(self._failures, _MOST_DOUBLINGS)))
            try:
                await self.connect(self.epoch)
            except UpstreamUnavailable as error:
                self._failures += 1
                _log.debug("%s", error)
            except Exception:
                self._failures += 1
                _log.exception("server %r cannot be reached", self._id)

"""What serves one server's requests now, and the instances that were launched for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from app.gateway.launcher import LaunchError
from app.gateway.manager.bringing_up import Running
from app.gateway.manager.parts import Parts
from app.gateway.spec import LaunchSpec
from app.gateway.upstream import CONNECTED, LOST, News

logger = logging.getLogger("slipway.gateway.manager")


class Berth:
    """One place for one server: a new one takes it over from the old one. `nudge` is called when it is lost or back."""

    def __init__(self, parts: Parts, server_id: str, nudge: Callable[[], None]) -> None:
        self.running: Running | None = None
        self.lost = False
        """The one in place was there and cannot be reached now."""
        self._parts = parts
        self._id = server_id
        self._nudge = nudge
        self._begun: set[str] = set()
        self._unfollow: Callable[[], None] | None = None

    @property
    def instance(self) -> str | None:
        """What the launcher knows the one in place by."""
        return self.running.instance if self.running else None

    def begin(self, instance: str, heard: Callable[[], None]) -> None:
        """That one is being launched; `heard` is called when the launcher tells something of it."""
        self._begun.add(instance)
        self._parts.launches.listen(instance, heard)

    async def occupy(self, running: Running) -> None:
        """The new one serves already: end the old one, and what else was launched."""
        before = self.running
        if self._unfollow is not None:
            self._unfollow()
        self.running, self.lost = running, False
        self._unfollow = running.upstream.follow(self._hear)
        if before is not None:
            await self.quietly(before.upstream.close())
        for instance in sorted(self._begun - {running.instance}):
            await self.stop(instance)

    async def vacate(self) -> None:
        """Let go of the one in place, which runs on."""
        if self._unfollow is not None:
            self._unfollow()
            self._unfollow = None
        running, self.running = self.running, None
        if running is not None:
            await self.quietly(running.upstream.close())

    async def clear(self) -> None:
        """Let go of the one in place and stop everything that was launched."""
        await self.vacate()
        for instance in sorted(self._begun):
            await self.stop(instance)

    async def stop(self, instance: str) -> None:
        """End one instance; one that is not there is no error."""
        self._parts.launches.unlisten(instance)
        await self.quietly(self._parts.launcher.stop(instance))
        self._parts.launches.forget(instance)
        self._begun.discard(instance)

    def blocks(self, launch: LaunchSpec) -> bool:
        """Whether the one in place must go first: two of one machine cannot listen on one port."""
        old = self.running.launch if self.running else None
        return self._parts.place == "process" and old is not None and old.port is not None and old.port == launch.port

    async def quietly(self, step: Awaitable[None]) -> None:
        """Do a step of ending something; what goes wrong is told in the log and stops no other step."""
        try:
            async with asyncio.timeout(self._parts.limits.stop_seconds):
                await step
        except LaunchError as error:
            fields = {"server": self._id, "reason": str(error)}
            logger.warning("a step of stopping failed", extra={"fields": fields})
        except Exception:
            logger.exception("a step of stopping failed", extra={"fields": {"server": self._id}})

    def _hear(self, news: News) -> None:
        if news.method in (CONNECTED, LOST):
            self.lost = news.method == LOST
            self._nudge()

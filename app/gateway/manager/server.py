"""One managed server: brought up, kept up, changed without a gap where that can be, and taken down."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from app.gateway.launcher import UrlEndpoint
from app.gateway.manager.berth import Berth
from app.gateway.manager.bringing_up import Attempt, NotStarted, Running
from app.gateway.manager.following import OwnerFollower
from app.gateway.manager.model import Phase, ServerStatus, Wanted
from app.gateway.manager.parts import Parts
from app.gateway.manager.standing import Standing, status_of, told_of
from app.gateway.manager.store import Claim, StoreError, Told
from app.gateway.resolving import ResolveError
from app.gateway.spec import LaunchSpec
from app.sessions.tasks import stop

logger = logging.getLogger("slipway.gateway.manager")


class Server:
    """What is wanted under one id, and what there is of it. `changed` is called after every change of its status."""

    def __init__(self, wanted: Wanted, parts: Parts, changed: Callable[[Server], None]) -> None:
        self.wanted = wanted
        self.last_words: list[str] = []
        """What an instance that did not start wrote last."""
        self.refusal: ResolveError | None = None
        """Why it cannot be started as it is wanted, whatever comes; None for all that may pass."""
        self._parts = parts
        self._changed = changed
        self._news = asyncio.Event()
        self._berth = Berth(parts, wanted.id, self.nudge)
        self._standing = Standing()
        self._said: Told | None = None
        self._attempt: Attempt | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        return self.wanted.id

    @property
    def instance(self) -> str:
        """What the launcher knows the one by that serves now, or will."""
        return self._berth.instance or self.wanted.instance

    @property
    def running(self) -> Running | None:
        """What requests go to now."""
        return self._berth.running

    @property
    def owner(self) -> str | None:
        """The other replica that runs it."""
        return self._standing.owner

    def status(self) -> ServerStatus:
        return status_of(self._standing, self.wanted, self._berth, self._parts)

    def keep_up(self) -> None:
        """Begin to bring it up, and go on for as long as it is wanted; at once where it waits to try again."""
        self.nudge()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._keep_up(), name=f"server {self.id}")

    async def change(self, wanted: Wanted) -> None:
        """Want another spec: the one that runs serves until the new one is ready."""
        await self._halt()
        self.wanted, self.refusal = wanted, None
        self._set("pending")
        self.keep_up()

    def nudge(self) -> None:
        """Something changed, elsewhere maybe: look."""
        self._news.set()

    async def take_down(self) -> None:
        """Stop everything of it; what cannot be stopped is told in the log."""
        self._set("stopping")
        await self._halt()
        await self._berth.quietly(self._parts.catalogue.remove(self.id))
        if self.owner is None:
            await self._berth.clear()
            launch = self.wanted.launch
            if launch is None or launch.type != "remote":  # of an earlier life, maybe
                await self._berth.stop(self.wanted.instance)
        else:
            await self._berth.vacate()
        await self._berth.quietly(self._parts.store.release(self.id))

    async def let_go(self) -> None:
        """End only what is of this process; pods run on."""
        await self._halt()
        await self._berth.vacate()

    # From here on: the task that keeps it up.

    async def _keep_up(self) -> None:
        while True:
            try:
                claim = await self._parts.store.claim(self.id)
                if claim is None:
                    self._standing.owner = self._standing.told = None
                    await self._own()
                else:
                    await self._follow(claim)
            except StoreError as error:
                self._standing.reason = self._standing.reason or str(error)
                await self._sleep(self._parts.limits.retry_first)

    async def _own(self) -> None:
        """Run it here; returns when another replica does."""
        failed = 0
        limits = self._parts.limits
        while True:
            self._news.clear()
            try:
                await self._bring_up()
                failed, self.refusal = 0, None
                if not await self._stay_up():
                    return
                await self._sleep(limits.retry_first * random.random())  # noqa: S311 (to spread, not to hide)
            except (NotStarted, ResolveError) as error:
                failed += 1
                self.refusal = error if isinstance(error, ResolveError) else None
                if self.refusal is not None and self.wanted.launch is not None:
                    # It ran under other rules, and may no longer.
                    await self._berth.quietly(self._parts.catalogue.remove(self.id))
                    await self._berth.clear()
                elif failed > 1:  # what it was resolved to in an earlier life may be gone
                    self.wanted = msgspec.structs.replace(self.wanted, launch=None)
                self._fail(str(error))
                await self._tell()
                if self._berth.instance != self.wanted.instance:
                    self._parts.launches.unlisten(self.wanted.instance)
                self._news.clear()  # what stopping it told is no reason to try again at once
                wait = min(limits.retry_most, limits.retry_first * 2 ** (failed - 1))
                await self._sleep(None if self.refusal is not None else wait)
                if await self._parts.store.claim(self.id) is not None:
                    return

    async def _bring_up(self) -> None:
        began = time.monotonic()
        launch = await self._resolve()
        before = self._berth.running
        if before is not None and before.launch is not None and before.launch.digest() == launch.digest():
            self._set("ready")
            return
        async with self._parts.slots:
            if self._berth.blocks(launch):
                await self._berth.clear()
            attempt = self._attempt = Attempt(self._parts, self.id, self._set)
            if launch.type != "remote":
                self._berth.begin(launch.id, self._heard)
            try:
                running = await attempt.run(launch)
            except NotStarted:
                self.last_words = attempt.last_words
                self._parts.on_outcome("failed", None)
                raise
            finally:
                self._attempt = None
        await self._berth.occupy(running)
        standing = self._standing
        standing.unreplaced, standing.seconds = "", round(time.monotonic() - began, 3)
        self._set("ready")
        self._parts.on_outcome("ready", standing.seconds)
        fields = {"server": self.id, "seconds": standing.seconds, "tools": self.status().tools}
        logger.info("a server is ready", extra={"fields": fields})

    async def _resolve(self) -> LaunchSpec:
        wanted = self.wanted
        if wanted.launch is not None and wanted.policy == self._parts.policy:
            return wanted.launch
        self._set("resolving")
        try:
            async with asyncio.timeout(self._parts.limits.resolve_seconds):
                launch = await self._parts.resolver.resolve(wanted.name, wanted.spec)
        except ResolveError:
            raise
        except Exception as error:
            told = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            raise NotStarted(f"it could not be resolved: {told}") from error
        launch = msgspec.structs.replace(launch, id=wanted.instance)
        resolved = msgspec.structs.replace(wanted, launch=launch, policy=self._parts.policy)
        if await self._parts.store.put(resolved, replacing=wanted):
            self.wanted = resolved
        return launch

    async def _stay_up(self) -> bool:
        """Returns when it has to be brought up anew: True, or when another replica runs it: False."""
        while True:
            self._touch()
            await self._tell()
            await self._news.wait()
            self._news.clear()
            if await self._parts.store.claim(self.id) is not None:
                # Where each replica's servers are its own, two must not run; a pod is taken over as it is.
                await (self._berth.clear() if self._parts.place == "process" else self._berth.vacate())
                return False
            running = self._berth.running
            seen = self._parts.launches.latest(running.instance) if running and running.instance else None
            if running is None or seen is None:
                continue
            if seen.state == "failed" and not await self._recovers(seen.id):
                await self._berth.clear()
                return True
            gone = seen.state == "stopped" and seen.endpoint is None
            if gone or (isinstance(seen.endpoint, UrlEndpoint) and seen.endpoint != running.endpoint):
                await self._berth.vacate()
                return True

    async def _recovers(self, instance: str) -> bool:
        """Whether what failed comes back by itself: a crashed child is started anew by its launcher."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._parts.limits.recover_seconds):
                while True:
                    seen = self._parts.launches.latest(instance)
                    if seen is None or seen.state != "failed":
                        return True
                    self._touch()
                    await self._tell()
                    await self._news.wait()
                    self._news.clear()
        return False

    async def _follow(self, claim: Claim | None) -> None:
        """Serve what another replica runs; returns when that one is gone."""
        follower = OwnerFollower(self._parts, self.id)
        while claim is not None:
            self._news.clear()
            told = await self._parts.store.told(self.id)
            self._standing.owner, self._standing.told = claim.owner, told
            try:
                reached = await follower.reach(claim, told, self._berth.running)
                if reached is not None and reached is not self._berth.running:
                    await self._berth.occupy(reached)
                if told is None or told.phase in ("ready", "degraded"):
                    self._set("pending" if reached is None else "ready")
                else:
                    self._set(told.phase, told.reason)
            except NotStarted as error:
                self._fail(str(error))
            await self._sleep(self._parts.limits.retry_first)
            claim = await self._parts.store.claim(self.id)

    async def _halt(self) -> None:
        if self._task is not None:
            await stop([self._task])
            self._task = None
        self._attempt = None

    async def _sleep(self, seconds: float | None) -> None:
        """Until then, or until there is news."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()

    async def _tell(self) -> None:
        """The other replicas hear how it is."""
        told = told_of(self._standing, self.wanted, self._berth, self._parts)
        if told != self._said:
            with suppress(StoreError):
                await self._parts.store.tell(self.id, told)
                self._said = told

    def _heard(self) -> None:
        if self._attempt is not None:
            self._attempt.heard()
        self.nudge()

    def _fail(self, reason: str) -> None:
        logger.warning("a server does not start", extra={"fields": {"server": self.id, "reason": reason}})
        if self._berth.running is not None:
            self._standing.unreplaced = reason
            self._set("ready")
        else:
            self._set("failed", reason)

    def _set(self, phase: Phase, reason: str = "") -> None:
        self._standing.phase, self._standing.reason = phase, reason
        self._touch()

    def _touch(self) -> None:
        self._standing.revision += 1
        self._changed(self)

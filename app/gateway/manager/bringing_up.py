"""One attempt to run a server: launched, reached, its tools listed; or nothing of it left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from app.gateway.launcher import Endpoint, LaunchError, UrlEndpoint
from app.gateway.manager.model import Phase
from app.gateway.manager.parts import Parts
from app.gateway.spec import LaunchSpec
from app.gateway.upstream import Upstream, UpstreamUnavailable
from app.sessions.tasks import stop

logger = logging.getLogger("slipway.gateway.manager")

_LAST_WORDS = 50
_REASON_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Running:
    """A server that is reached. `instance` is None for one that another replica or nobody here runs."""

    instance: str | None
    launch: LaunchSpec | None
    endpoint: Endpoint
    upstream: Upstream


class NotStarted(Exception):
    """An attempt failed; the message is the reason as the launcher or the server gave it."""


class Attempt:
    """Launches one instance of a server and reaches it. `said` is told each phase that begins."""

    def __init__(self, parts: Parts, server_id: str, said: Callable[[Phase], None]) -> None:
        self._parts = parts
        self._id = server_id
        self._said = said
        self._heard = asyncio.Event()
        self.last_words: list[str] = []
        """What an instance that failed wrote last."""

    def heard(self) -> None:
        """The launcher told something of the instance."""
        self._heard.set()

    async def run(self, launch: LaunchSpec) -> Running:
        """Raises `NotStarted`, and then nothing runs. Cancelled, it leaves the instance to the caller to stop."""
        try:
            async with asyncio.timeout(self._parts.limits.start_seconds):
                self._said("starting")
                endpoint = await self._launch(launch)
                self._said("initializing")
                return await self.reach(launch, endpoint)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            reason = self._reason(launch, error)
            await self._clear(launch)
            raise NotStarted(reason) from error

    async def reach(self, launch: LaunchSpec | None, endpoint: Endpoint) -> Running:
        """Open an upstream and have its lists served."""
        upstream = self._parts.open_upstream(self._id, endpoint)
        try:
            await self._open(upstream, launch)
            await self._parts.catalogue.put(self._id, upstream)
        except BaseException:
            await upstream.close()
            raise
        launched = launch if launch is not None and launch.type != "remote" else None
        return Running(launched.id if launched else None, launch, endpoint, upstream)

    async def _launch(self, launch: LaunchSpec) -> Endpoint:
        if launch.type == "remote":
            return UrlEndpoint(launch.url or "", launch.transport, dict(launch.environment))
        launches = self._parts.launches
        known = launches.latest(launch.id)
        if known is not None and known.digest != launch.digest():
            await self._parts.launcher.stop(launch.id)
            launches.forget(launch.id)
        launches.seed(await self._parts.launcher.start(launch))
        while True:
            self._heard.clear()
            seen = launches.latest(launch.id)
            if seen is not None and seen.state == "failed":
                raise LaunchError(seen.reason or "it ended without a reason")
            if seen is not None and seen.endpoint is not None and seen.state != "stopped":
                return seen.endpoint
            await self._heard.wait()

    async def _open(self, upstream: Upstream, launch: LaunchSpec | None) -> None:
        """The handshake, given up as soon as the launcher says that the server failed."""
        opening = asyncio.create_task(upstream.open(), name=f"open {self._id}")
        failing = asyncio.create_task(self._until_failed(launch), name=f"await failure of {self._id}")
        try:
            await asyncio.wait({opening, failing}, return_when=asyncio.FIRST_COMPLETED)
            if opening.done():
                with suppress(TimeoutError):
                    if opening.exception() is not None:  # the launcher may know better why
                        async with asyncio.timeout(_REASON_SECONDS):
                            await failing
                opening.result()
            else:
                failing.result()
        finally:
            await stop([opening, failing])
            for task in (opening, failing):
                if not task.cancelled():
                    task.exception()  # seen: one of them was raised

    async def _until_failed(self, launch: LaunchSpec | None) -> None:
        while True:
            self._heard.clear()
            seen = self._parts.launches.latest(launch.id) if launch is not None else None
            if seen is not None and seen.state == "failed":
                raise LaunchError(seen.reason or "it ended without a reason")
            await self._heard.wait()

    def _reason(self, launch: LaunchSpec, error: Exception) -> str:
        seen = self._parts.launches.latest(launch.id)
        known = seen.reason if seen is not None and seen.reason else ""
        if isinstance(error, TimeoutError):
            limit = f"it was not ready within {self._parts.limits.start_seconds:g} seconds"
            return f"{limit}: {known}" if known else limit
        if isinstance(error, UpstreamUnavailable) and known:
            return f"{known} ({error})"
        if not isinstance(error, LaunchError | UpstreamUnavailable):
            logger.warning("starting failed", exc_info=error, extra={"fields": {"server": self._id}})
        return str(error) or type(error).__name__

    async def _clear(self, launch: LaunchSpec) -> None:
        """Nothing half-started stays; its last words do."""
        if launch.type == "remote":
            return
        with suppress(Exception):
            async with asyncio.timeout(_REASON_SECONDS):
                lines = [line async for line in self._parts.launcher.logs(launch.id, lines=_LAST_WORDS)]
                self.last_words = lines or self.last_words
        try:
            async with asyncio.timeout(self._parts.limits.stop_seconds):
                await self._parts.launcher.stop(launch.id)
        except LaunchError as error:
            fields = {"server": self._id, "reason": str(error)}
            logger.warning("what failed to start could not be stopped", extra={"fields": fields})
        except Exception:
            logger.exception("what failed to start could not be stopped", extra={"fields": {"server": self._id}})
        self._parts.launches.forget(launch.id)

"""What the launcher said last of each server, and who wants to be told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from app.gateway.launcher import Launched, Launcher
from app.sessions.tasks import stop

logger = logging.getLogger("slipway.gateway.manager")

_AGAIN_AFTER = 1.0


class Launches:
    """Hears a launcher's events for as long as it is open."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._latest: dict[str, Launched] = {}
        self._listeners: dict[str, Callable[[], None]] = {}
        self._watching: asyncio.Task[None] | None = None

    async def open(self) -> list[Launched]:
        """Begin to hear; what runs already is returned."""
        self._watching = asyncio.create_task(self._watch(), name="watch launcher")
        found = await self._launcher.adopt()
        for launched in found:
            self._latest.setdefault(launched.id, launched)
        return found

    async def close(self) -> None:
        if self._watching is not None:
            await stop([self._watching])

    def latest(self, instance: str) -> Launched | None:
        """What is known of it now."""
        return self._latest.get(instance)

    def seed(self, launched: Launched) -> None:
        """Take what `Launcher.start` returned, unless an event of that start was heard already."""
        known = self._latest.get(launched.id)
        if known is None or known.digest != launched.digest or known.state in ("failed", "stopped"):
            self._latest[launched.id] = launched

    def forget(self, instance: str) -> None:
        """It is gone."""
        self._latest.pop(instance, None)

    def listen(self, instance: str, listener: Callable[[], None]) -> None:
        """Call the listener after every event of that one."""
        self._listeners[instance] = listener

    def unlisten(self, instance: str) -> None:
        self._listeners.pop(instance, None)

    async def _watch(self) -> None:
        while True:
            try:
                async for launched in self._launcher.watch():
                    self._heard(launched)
            except Exception:
                logger.exception("the launcher's events broke off: watching anew")
            await asyncio.sleep(_AGAIN_AFTER)

    def _heard(self, launched: Launched) -> None:
        self._latest[launched.id] = launched
        listener = self._listeners.get(launched.id)
        if listener is not None:
            listener()

"""One term as the leader: kopf and the work, on a thread and an event loop of their own.

kopf ends by cancelling every task of its loop that it did not find there, so it shares none with the probes and the
lease; and renewing the lease waits for no work.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import kopf
import msgspec

from app.kubernetes import ApiAway, ApiError
from app.kubernetes.client import Login
from app.operator.census import Census
from app.operator.directory import Directory, Registry
from app.operator.events import Events
from app.operator.handlers import registry_of, settings_of
from app.operator.kube import Kube
from app.operator.model import Around
from app.operator.reconcile import Reconciler
from app.operator.seen import Key, Seen
from app.operator.sight import keep_in_sight, watches
from app.operator.telemetry import OperatorMetrics
from app.operator.work import WorkQueue

logger = logging.getLogger("slipway.operator.term")
# It misses the signals, which are the main thread's.
logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)

_TICK: Final = 1.0
_STUCK_SECONDS: Final = 60.0
# How long the beginning waits for a registry that is slow: agents are made without it.
_REGISTRY_SECONDS: Final = 5.0
# A watch that lists anew does so in many pieces: everything is counted once they have stopped coming.
_QUIET_SECONDS: Final = 2.0


class Duties(msgspec.Struct, frozen=True, kw_only=True):
    """What a leader does, and how."""

    login: Login
    around: Around
    identity: str
    namespaces: tuple[str, ...] = ()
    """Whose agents; empty means those of every namespace."""
    registry_token: str | None = None
    workers: int = 8
    resync_seconds: float = 600.0
    """How often everything is counted, in case the watches missed something."""


class Term:
    """Works from `start` until `stop`, or until it fails."""

    def __init__(self, duties: Duties, metrics: OperatorMetrics, permitted: Callable[[], bool]) -> None:
        self._duties = duties
        self._metrics = metrics
        self._permitted = permitted
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._main, name="operator", daemon=True)
        self._ticked = time.monotonic()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self.failure: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    async def ended(self) -> None:
        """Wait for the end. What it failed with, if it did, is `failure`."""
        await asyncio.shield(self._ended)

    @property
    def stuck(self) -> bool:
        """Whether its event loop has not turned for a long time."""
        return self._thread.is_alive() and time.monotonic() - self._ticked > _STUCK_SECONDS

    def _main(self) -> None:
        try:
            asyncio.run(self._work())
        except BaseException as error:
            self.failure = error
            logger.exception("the operator's work failed")
        finally:
            self._loop.call_soon_threadsafe(self._end)

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)

    async def _work(self) -> None:
        duties = self._duties
        kube = Kube(duties.login, counted=self._metrics.called, permitted=self._permitted)
        url = duties.around.registry_url
        registry = None if url is None else Registry(url, duties.registry_token)
        directory, seen, queue = Directory(registry), Seen(), WorkQueue[Key]()
        reconciler = Reconciler(kube, seen, duties.around, directory, Events(kube, duties.identity), self._metrics)
        census = Census(kube, seen, duties.namespaces)
        relisted = asyncio.Event()

        def gone(key: Key) -> None:
            queue.forget(key)
            reconciler.forget(key)

        async def look(key: Key) -> float | None:
            began = time.monotonic()
            try:
                again = await reconciler.look(key)
            except BaseException:
                self._metrics.looked("failed", time.monotonic() - began)
                raise
            self._metrics.looked("done", time.monotonic() - began)
            return again

        def registrations_changed(names: set[str]) -> None:
            for key in seen:
                if key[1] in names:
                    queue.add(key)

        # All before kopf begins: it would take them for its own.
        tasks = [asyncio.create_task(self._tick(seen, queue))]
        try:
            if not await self._begin(census, directory, seen, queue):
                return
            tasks += [
                asyncio.create_task(queue.run(look, workers=duties.workers)),
                asyncio.create_task(directory.follow(registrations_changed)),
                asyncio.create_task(self._resync(census, queue, relisted)),
                asyncio.create_task(keep_in_sight(kube)),
            ]
            for task in tasks:
                task.add_done_callback(self._task_ended)
            await asyncio.sleep(0)  # their own tasks, too
            await self._watch(registry_of(seen, queue.add, gone, relisted.set, duties.login))
        finally:
            self._stop.set()
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            await kube.close()
            if registry is not None:
                await registry.close()

        failures = [result for result in results if isinstance(result, Exception)]
        if failures:
            raise failures[0]

    async def _begin(self, census: Census, directory: Directory, seen: Seen, queue: WorkQueue[Key]) -> bool:
        """Know all before anything is looked at, so that what is in order stays untouched. False when told to stop."""
        counting = asyncio.create_task(census.take())
        while not counting.done():
            if self._stop.is_set():
                counting.cancel()
                return False
            await asyncio.wait({counting}, timeout=_TICK)
        await counting
        with suppress(TimeoutError):
            async with asyncio.timeout(_REGISTRY_SECONDS):
                await directory.refresh()
        for key in seen:
            queue.add(key)
        return True

    async def _watch(self, registry: kopf.OperatorRegistry) -> None:
        await kopf.operator(
            registry=registry,
            settings=settings_of(),
            standalone=True,
            clusterwide=not self._duties.namespaces,
            namespaces=self._duties.namespaces,
            stop_flag=self._stop,
        )

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """None of them ends by itself, but for following a registry that there is none of."""
        if not task.cancelled() and task.exception() is not None:
            self._stop.set()

    async def _resync(self, census: Census, queue: WorkQueue[Key], relisted: asyncio.Event) -> None:
        """Count everything now and then, and whenever a watch had to begin anew, as it does at first."""
        while True:
            try:
                async with asyncio.timeout(self._duties.resync_seconds):
                    await relisted.wait()
                    while relisted.is_set():
                        relisted.clear()
                        await asyncio.sleep(_QUIET_SECONDS)
            except TimeoutError:
                relisted.clear()
            try:
                changed = await census.take()
            except (ApiAway, ApiError) as error:
                logger.warning("counting everything failed", extra={"fields": {"error": str(error)}})
                continue
            if changed:
                logger.debug("counting everything found news", extra={"fields": {"agents": len(changed)}})
            for key in changed:
                queue.add(key)

    async def _tick(self, seen: Seen, queue: WorkQueue[Key]) -> None:
        watchers: set[asyncio.Task[object]] = set()
        while True:
            self._ticked = time.monotonic()
            watchers = _watching(watchers)
            self._metrics.agents.set(len(seen.agents))
            self._metrics.waiting.set(len(queue))
            await asyncio.sleep(_TICK)


def _watching(known: set[asyncio.Task[object]]) -> set[asyncio.Task[object]]:
    """kopf's watches. It lets one that failed lie, and would be blind from then on: so that ends the term."""
    for task in known:
        failure = task.exception() if task.done() and not task.cancelled() else None
        if failure is not None:
            raise failure
    return watches()

"""One term as the leader: kopf and the work, on a thread and an event loop of their own.

kopf ends by cancelling every task of its loop that it did not find there, so it shares none with the probes and the
lease; and renewing the lease waits for no work.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Final

import kopf
import msgspec

from app.operator.directory import Directory, Registry
from app.operator.events import Events
from app.operator.handlers import registry_of, settings_of
from app.operator.kube import Kube, Login
from app.operator.model import Around
from app.operator.reconcile import Reconciler
from app.operator.seen import Key, Seen
from app.operator.telemetry import OperatorMetrics
from app.operator.work import WorkQueue

logger = logging.getLogger("slipway.operator.term")
# It misses the signals, which are the main thread's.
logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)

_TICK: Final = 1.0
_STUCK_SECONDS: Final = 60.0


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
    """How often everything is applied again, in case the watches missed something."""


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

        # Before kopf begins: it would take these for its own.
        tasks = [
            asyncio.create_task(queue.run(look, workers=duties.workers)),
            asyncio.create_task(directory.follow(registrations_changed)),
            asyncio.create_task(self._resync(seen, queue, reconciler)),
            asyncio.create_task(self._tick(seen, queue)),
        ]
        for task in tasks:
            task.add_done_callback(self._task_ended)
        await asyncio.sleep(0)  # their own tasks, too
        try:
            await kopf.operator(
                registry=registry_of(seen, queue.add, gone, duties.login),
                settings=settings_of(),
                standalone=True,
                clusterwide=not duties.namespaces,
                namespaces=duties.namespaces,
                stop_flag=self._stop,
            )
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

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        """None of them ends by itself, but for following a registry that there is none of."""
        if not task.cancelled() and task.exception() is not None:
            self._stop.set()

    async def _resync(self, seen: Seen, queue: WorkQueue[Key], reconciler: Reconciler) -> None:
        """Everything again, spread over the interval so that it is no burst."""
        while True:
            await asyncio.sleep(self._duties.resync_seconds)
            for key in seen:
                reconciler.recheck(key)
                queue.add(key, random.uniform(0, self._duties.resync_seconds / 2))  # noqa: S311 - spreads load

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
    return {task for task in asyncio.all_tasks() if task.get_name().startswith("watcher for ")}

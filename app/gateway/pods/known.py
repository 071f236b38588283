"""The pods that a gateway knows of, and how they end."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from app.gateway.launcher import LaunchError
from app.gateway.pods.asking import PodApi
from app.gateway.pods.labels import name_of, server_of
from app.gateway.pods.metrics import PodMetrics
from app.kubernetes import Object

logger = logging.getLogger("slipway.gateway.pods")

_LOOK_AGAIN: Final = 5.0
_BURIED: Final = 1_000


class KnownPods:
    """Every pod of one gateway."""

    def __init__(self, pods: PodApi, metrics: PodMetrics, grace: int) -> None:
        self._pods = pods
        self._metrics = metrics
        self._grace = grace
        self._known: dict[str, Object] = {}  # by their uids
        self._buried: deque[str] = deque(maxlen=_BURIED)
        self._gone: dict[str, asyncio.Event] = {}

    def __iter__(self) -> Iterator[Object]:
        return iter(tuple(self._known.values()))

    def __len__(self) -> int:
        return len(self._known)

    def get(self, uid: str) -> Object | None:
        return self._known.get(uid)

    def of(self, server_id: str) -> list[Object]:
        """The pods of one server."""
        return [pod for pod in self if server_of(pod) == server_id]

    def keep(self, pod: Object) -> bool:
        """Know a pod as it is now; false for one that is known to be gone."""
        uid = pod["metadata"]["uid"]
        if uid in self._buried:
            return False
        self._known[uid] = pod
        return True

    def bury(self, pod: Object) -> None:
        """It is gone, whatever is still told of it."""
        uid = pod["metadata"]["uid"]
        self._known.pop(uid, None)
        self._buried.append(uid)
        if uid in self._gone:
            self._gone[uid].set()

    async def end(self, pod: Object) -> None:
        """Delete a pod and wait until it is gone. Raises `LaunchError`."""
        uid, name = pod["metadata"]["uid"], name_of(pod)
        gone = self._gone.setdefault(uid, asyncio.Event())
        waited = 0.0
        grace: int | None = None
        try:
            while uid in self._known and await self._pods.delete(name, uid, grace):
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_AGAIN):
                        await gone.wait()
                        self._metrics.deleted.inc()
                        return
                waited += _LOOK_AGAIN
                # Its node does not answer, or does not get it done.
                grace = 0 if waited > self._grace + _LOOK_AGAIN else None
            self.bury(pod)
        finally:
            self._gone.pop(uid, None)

    async def discard(self, pod: Object) -> None:
        """The same, for one that nobody waits for."""
        try:
            await self.end(pod)
        except LaunchError as error:
            logger.warning("a pod that is not wanted could not be deleted: %s", error)

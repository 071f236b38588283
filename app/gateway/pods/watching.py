"""Following objects of one kind: a list, then every change, without a gap, however often the connection breaks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from app.gateway.pods.api import Api, pause
from app.kubernetes import ApiAway, ApiError, Object
from app.sessions.tasks import stop

logger = logging.getLogger("slipway.gateway.pods")

_ASKED = 240
"""Seconds after which the server ends a watch, and another one goes on from there."""
_PAGE = "500"
_PATIENCE = 20.0
_BUSY = 1.0  # seconds that the last attempt may take longer

Change = Literal["ADDED", "MODIFIED", "DELETED"]


@dataclass(frozen=True, slots=True)
class Told:
    """What a follower is called with."""

    listed: Callable[[list[Object]], None]
    """All that there is; what is not in it is gone."""
    changed: Callable[[Change, Object], None]


class Watching:
    """Follows one kind for as long as it is open."""

    def __init__(self, api: Api, path: str, query: Mapping[str, str], told: Told) -> None:
        self._api = api
        self._path = path
        self._query = dict(query)
        self._told = told
        self._version = ""
        self._task: asyncio.Task[None] | None = None
        self.problem = ""
        """Why it is not followed just now."""

    async def open(self, patience: float) -> None:
        """Returns once all that there is was told. Raises `ApiError` and `ApiAway`."""
        try:
            async with asyncio.timeout(patience + _BUSY):
                await self._list(patience)
        except TimeoutError:
            raise ApiAway(f"the Kubernetes API does not answer within {patience:g} s") from None
        self._task = asyncio.create_task(self._follow(), name=f"watch {self._path}")

    async def close(self) -> None:
        if self._task is not None:
            await stop([self._task])
            self._task = None

    async def _follow(self) -> None:
        failed = 0
        while True:
            try:
                if not self._version:
                    await self._list()
                began = time.monotonic()
                await self._watch()
                # A server that ends each watch at once is not asked as fast as it answers.
                failed = 0 if time.monotonic() - began > 1.0 else failed + 1
            except ApiError as error:
                failed += 1
                self.problem = str(error)
                if error.status == 410:  # too old to go on from
                    self._version = ""
                    if failed == 1:
                        continue
            except ApiAway as error:
                failed += 1
                self.problem = str(error)
            except Exception as error:
                failed += 1
                self.problem = str(error)
                self._version = ""
                logger.exception("following broke off: listing anew", extra={"fields": {"path": self._path}})
            if failed:
                if self.problem and failed in (1, 10):
                    fields = {"path": self._path, "why": self.problem}
                    logger.warning("changes cannot be followed: trying again", extra={"fields": fields})
                await pause(failed)

    async def _list(self, patience: float = _PATIENCE) -> None:
        query = {**self._query, "limit": _PAGE}
        found: list[Object] = []
        while True:
            page = await self._api.request("GET", self._path, query, patience=patience)
            found += page.get("items") or []
            metadata: Object = page.get("metadata") or {}
            if not metadata.get("continue"):
                break
            query["continue"] = metadata["continue"]
        self._version = str(metadata.get("resourceVersion") or "")
        self._told.listed(found)

    async def _watch(self) -> None:
        """One connection."""
        query = {
            **self._query,
            "watch": "1",
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_ASKED),
        }
        async with self._api.lines(self._path, query, silence=_ASKED + 30) as lines:
            self.problem = ""
            async for line in lines:
                if line:
                    self._take(msgspec.json.decode(line, type=dict[str, Any]))

    def _take(self, event: Object) -> None:
        kind = event.get("type")
        thing: Object = event.get("object") or {}
        if kind == "ERROR":
            raise ApiError(int(thing.get("code") or 0), str(thing.get("reason")), str(thing.get("message")))
        self._version = str(thing["metadata"]["resourceVersion"])
        if kind in ("ADDED", "MODIFIED", "DELETED"):
            self._told.changed(kind, thing)

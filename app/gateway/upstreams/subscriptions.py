"""Being told of changes: by one long request where there is no handshake, else by one request a resource."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, cast

from app.gateway.upstream import CONNECTED, About, News, UpstreamFailure, UpstreamUnavailable
from app.gateway.upstreams.link import Link
from app.gateway.upstreams.wire import encode
from app.resilience.retry import Backoff

_log = logging.getLogger("slipway.gateway")
_CHANGES = {"tools": "toolsListChanged", "prompts": "promptsListChanged", "resources": "resourcesListChanged"}
_TOLD = 30.0


class Subscriptions:
    """What one server is asked to tell us; asked again whenever it was reached anew."""

    def __init__(self, link: Link, tell: Callable[[News], None], label: str) -> None:
        self._link = link
        self._tell = tell
        self._label = label
        self._uris: set[str] = set()
        self._about: About | None = None
        self._task: asyncio.Task[None] | None = None
        self._again = Backoff(base=0.2, most=30.0)

    def start(self, about: About) -> None:
        """The server is there."""
        self.stop()
        self._about = about
        if self._link.dialect.stateless:
            if self._filter():
                self._task = asyncio.create_task(self._listen(), name=f"listen to {self._label}")
        elif self._uris:
            self._task = asyncio.create_task(self._subscribe_again(), name=f"subscribe at {self._label}")

    def stop(self) -> None:
        """It is not, or no longer."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """End for good."""
        task = self._task
        self.stop()
        if task is not None and task is not asyncio.current_task():
            await asyncio.wait({task})

    def add(self, uri: str) -> None:
        """News of this resource are wanted."""
        if uri not in self._uris:
            self._uris.add(uri)
            self._change()

    def remove(self, uri: str) -> None:
        """No longer."""
        if uri in self._uris:
            self._uris.discard(uri)
            self._change()

    def _change(self) -> None:
        if self._about is not None and self._link.dialect.stateless:
            self.start(self._about)

    def _filter(self) -> dict[str, Any]:
        able: Mapping[str, Any] = {} if self._about is None else self._about.capabilities
        wanted: dict[str, Any] = {}
        for name, member in _CHANGES.items():
            offered: object = able.get(name)
            if isinstance(offered, dict) and cast("dict[str, Any]", offered).get("listChanged") is True:
                wanted[member] = True
        if self._uris:
            wanted["resourceSubscriptions"] = sorted(self._uris)
        return wanted

    async def _listen(self) -> None:
        failed = 0
        while True:
            began = asyncio.get_running_loop().time()
            params = encode({"notifications": self._filter()})
            try:
                await self._link.request("subscriptions/listen", params, None, None, once=False)
            except UpstreamFailure as error:
                _log.info("server %r tells no changes: %s", self._label, error.message[:200])
                return
            except UpstreamUnavailable as error:
                _log.debug("server %r no longer tells changes: %s", self._label, error)
            lasted = asyncio.get_running_loop().time() - began
            failed = 1 if lasted > _TOLD else failed + 1
            await asyncio.sleep(self._again.wait(failed))
            self._tell(News(CONNECTED))  # what changed in between was not told

    async def _subscribe_again(self) -> None:
        for uri in sorted(self._uris):
            try:
                params = encode({"uri": uri})
                await self._link.request("resources/subscribe", params, None, _TOLD, once=False)
            except (UpstreamFailure, UpstreamUnavailable, TimeoutError) as error:
                _log.info("server %r no longer tells of %s: %s", self._label, uri[:200], error)

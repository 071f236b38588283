"""Servers without a bridge: sessions through the exec or the attach API, each with a process's streams of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from app.gateway.children.tail import Tail
from app.gateway.launcher import Launched, LaunchError
from app.gateway.pods.api import ApiAway, ApiError, pause
from app.gateway.pods.asking import PodApi
from app.gateway.pods.manifest import CONTAINER
from app.gateway.pods.streams import RemoteLines

logger = logging.getLogger("slipway.gateway.pods")

_ATTEMPTS: Final = 6
LONGEST_LINE: Final = 128 << 20


class Sessions:
    """Implements `StdioEndpoint` for one pod. With a command, each session is a process of its own; without one, the
    only session is with the container's first process, which is started anew when it ends.

    `failed` is told why a process ended that never said anything; `recycle` is called when one stayed that nobody
    speaks to.
    """

    def __init__(
        self,
        pods: PodApi,
        pod: str,
        command: tuple[str, ...],
        tail: Tail,
        *,
        now: Callable[[], Launched],
        failed: Callable[[str], None],
        recycle: Callable[[], None],
        most: int,
        after_input: float,
    ) -> None:
        self._pods = pods
        self._pod = pod
        self._command = command
        self._tail = tail
        self._now = now
        self._failed = failed
        self._recycle = recycle
        self._most = most if command else 1
        self._after_input = after_input
        self._open: set[RemoteLines] = set()
        self._slots = asyncio.Semaphore(self._most)
        self._closed = False
        self._lingering = 0
        self._changed = asyncio.Event()

    def nudge(self) -> None:
        """The pod changed."""
        self._changed.set()

    async def open(self) -> RemoteLines:
        """Waits until the pod runs, and for a session to end while there are as many as there may be for one."""
        if self._slots.locked() and self._command:
            raise LaunchError(f"the pod {self._pod} has {self._most} sessions, the most that one server may have")
        await self._slots.acquire()
        try:
            await self._until_running()
            lines = await self._connect()
        except BaseException:
            self._slots.release()
            raise
        self._open.add(lines)
        return lines

    async def close(self) -> None:
        """End every session; nothing can be opened after this."""
        self._closed = True
        self._changed.set()
        await asyncio.gather(*(lines.close() for lines in list(self._open)))

    async def _until_running(self) -> None:
        while True:
            self._changed.clear()
            launched = self._now()
            if self._closed or launched.state == "stopped":
                raise LaunchError(f"the pod {self._pod} was let go: start the server first")
            if launched.state == "failed":
                raise LaunchError(launched.reason)
            if launched.state == "running":
                return
            await self._changed.wait()

    async def _connect(self) -> RemoteLines:
        query = [("container", CONTAINER), ("stdin", "true"), ("stdout", "true"), ("stderr", "true")]
        query += [("command", word) for word in self._command]
        path = self._pods.path(self._pod, part="exec" if self._command else "attach")
        failed = 0
        while True:
            try:
                socket = await self._pods.api.websocket(path, query)
                break
            except (ApiError, ApiAway) as error:
                failed += 1
                lasting = isinstance(error, ApiError) and error.status in (401, 403, 404)
                if lasting or failed == _ATTEMPTS or self._closed:
                    raise LaunchError(f"{self._pod}: {error}") from None
            await pause(failed)
        return RemoteLines(
            socket, self._tail, longest=LONGEST_LINE, after_input=self._after_input, ended=self._has_ended
        )

    def _has_ended(self, lines: RemoteLines) -> None:
        if lines in self._open:
            self._open.discard(lines)
            self._slots.release()
        if lines.lingers:
            self._lingering += 1
            fields = {"pod": self._pod, "lingering": self._lingering}
            logger.warning("a process in a container did not end with its input", extra={"fields": fields})
        if lines.reason and not lines.let_go and not lines.spoke:
            self._failed(lines.reason)
        if self._lingering and not self._open and not self._closed:
            self._recycle()

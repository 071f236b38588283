"""Servers without a bridge: sessions through the exec or the attach API, each with a process's streams of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from app.gateway.children.tail import Tail
from app.gateway.launcher import Launched, LaunchError
from app.gateway.pods.api import pause
from app.gateway.pods.asking import PodApi
from app.gateway.pods.manifest import CONTAINER
from app.gateway.pods.streams import RemoteLines
from app.kubernetes import ApiAway, ApiError

logger = logging.getLogger("slipway.gateway.pods")

_ATTEMPTS: Final = 6
LONGEST_LINE: Final = 128 << 20


class Sessions:
    """Implements `StdioEndpoint` for one server, whichever pod it has. With a command, each session is a process of its
    own; without one, the only session is with the container's first process, which is started anew when it ends.

    `failed` is told why a process ended that never said anything; `recycle` is called when one may have stayed that
    nobody speaks to, and nobody has a session: it ends with its pod.
    """

    def __init__(
        self,
        pods: PodApi,
        tail: Tail,
        *,
        now: Callable[[], Launched],
        failed: Callable[[str], None],
        recycle: Callable[[], None],
    ) -> None:
        self._pods = pods
        self._tail = tail
        self._now = now
        self._failed = failed
        self._recycle = recycle
        self._pod = ""
        self._command: tuple[str, ...] = ()
        self._open: set[RemoteLines] = set()
        self._connecting = 0
        self._closed = False
        self._lingering = False
        self._changed = asyncio.Event()

    def take(self, pod: str, command: tuple[str, ...]) -> None:
        """Sessions are with that pod from now on."""
        self._pod, self._command, self._lingering = pod, command, False
        self._changed.set()

    def nudge(self) -> None:
        """The pod changed."""
        self._changed.set()

    async def open(self) -> RemoteLines:
        """Waits until the pod runs and, where there can be one session only, for that to end."""
        self._connecting += 1
        try:
            while True:
                await self._until_there_is_room()
                lines = await self._connect()
                if lines is not None:
                    return lines
        finally:
            self._connecting -= 1
            self._recycle_if_unused()

    async def end(self) -> None:
        """End every session: their pod went, or goes."""
        self._pod = ""
        await asyncio.gather(*(lines.close() for lines in list(self._open)))

    async def close(self) -> None:
        """The same, and nothing can be opened after this."""
        self._closed = True
        self._changed.set()
        await self.end()

    async def _until_there_is_room(self) -> None:
        while True:
            self._changed.clear()
            launched = self._now()
            if self._closed or launched.state == "stopped":
                raise LaunchError("the server is stopped: start it first")
            if launched.state == "failed":
                raise LaunchError(launched.reason)
            most = self._pods.options.most_sessions if self._command else 1
            if launched.state == "running" and self._pod:
                if len(self._open) < most:
                    return
                if self._command:
                    raise LaunchError(f"{self._pod} has {most} sessions, the most that one server may have")
            await self._changed.wait()

    async def _connect(self) -> RemoteLines | None:
        """None where the pod went meanwhile."""
        pod = self._pod
        query = [("container", CONTAINER), ("stdin", "true"), ("stdout", "true"), ("stderr", "true")]
        query += [("command", word) for word in self._command]
        path = self._pods.path(pod, part="exec" if self._command else "attach")
        failed = 0
        while True:
            try:
                socket = await self._pods.api.websocket(path, query)
                break
            except (ApiError, ApiAway) as error:
                failed += 1
                if self._closed or self._pod != pod:
                    return None
                lasting = isinstance(error, ApiError) and error.status in (401, 403)
                if lasting or failed == _ATTEMPTS:
                    raise LaunchError(f"{pod}: {error}") from None
            await pause(failed)
        after = self._pods.options.after_input
        lines = RemoteLines(socket, self._tail, longest=LONGEST_LINE, after_input=after, ended=self._has_ended)
        self._open.add(lines)
        if self._closed or self._pod != pod:
            await lines.close()
            return None
        return lines

    def _has_ended(self, lines: RemoteLines) -> None:
        self._open.discard(lines)
        self._changed.set()
        if lines.lingers and self._pod:
            self._lingering = True
            fields = {"pod": self._pod}
            logger.warning("a process in a container may not have ended with its input", extra={"fields": fields})
        if lines.reason and not lines.let_go and not lines.spoke:
            self._failed(lines.reason)
        self._recycle_if_unused()

    def _recycle_if_unused(self) -> None:
        if self._lingering and self._pod and not self._open and not self._connecting and not self._closed:
            self._lingering = False
            self._recycle()

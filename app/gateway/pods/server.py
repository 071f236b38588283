"""One server that runs as a pod: which one, how it is, and how it is reached."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any, cast

from app.gateway.children.masking import Masker
from app.gateway.children.tail import Tail
from app.gateway.launcher import Endpoint, Launched, UrlEndpoint
from app.gateway.pods.api import inside
from app.gateway.pods.asking import PodApi
from app.gateway.pods.logs import read_log
from app.gateway.pods.manifest import Reached
from app.gateway.pods.options import REACHED
from app.gateway.pods.reasons import Seen, seen
from app.gateway.pods.sessions import Sessions
from app.gateway.spec import LaunchSpec, Transport
from app.kubernetes import Object

_PATHS = {"http": "/mcp", "sse": "/sse", "websocket": "/mcp"}
_ATTEMPTS = 4
_FAILED_FOR = 5.0
"""Seconds that a server is called failed whose process ended without a word, before another one is tried."""


class PodServer:
    """`changed` is called after every change, `recycle` when its pod should go for another one to take its place.

    `spec` is None for an adopted one that nobody asked for yet.
    """

    def __init__(
        self,
        pods: PodApi,
        server_id: str,
        digest: str,
        spec: LaunchSpec | None,
        changed: Callable[[PodServer], None],
        recycle: Callable[[PodServer], None],
    ) -> None:
        self.id = server_id
        self.digest = digest
        self.stopping = False
        self.uid: str | None = None
        """Its pod's; None while it has none."""
        self.replaced = 0
        """How often its pod went without us."""
        self._pods = pods
        self._changed = changed
        self._recycle = recycle
        self._pod: Object | None = None
        self._seen = Seen("starting")
        self._warning = ""
        self._earlier = 0  # restarts of the containers of pods that went
        self._mask: Callable[[str], str] = str
        self._tail = Tail(server_id, self._masked)
        self._sessions: Sessions | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._wordless = ""
        self._again: asyncio.TimerHandle | None = None
        self._spec: LaunchSpec | None = None
        self.spec = spec
        self._told: Launched | None = None

    @property
    def spec(self) -> LaunchSpec | None:
        return self._spec

    @spec.setter
    def spec(self, spec: LaunchSpec | None) -> None:
        self._spec = spec
        if spec is not None:
            self._mask = Masker(spec.environment, spec.command)

    def take(self, pod: Object) -> None:
        """That is its pod now."""
        self.uid = pod["metadata"]["uid"]
        self._take_sessions(pod)
        self.update(pod)

    def update(self, pod: Object) -> bool:
        """Its pod changed; whether another one has to take its place."""
        self._pod = pod
        self._seen = seen(pod)
        if self._seen.state == "running":
            self._warning = ""
        if self._sessions is not None:
            self._sessions.nudge()
        self._news()
        return self._seen.over

    def lose(self, *, deleted: bool) -> None:
        """Its pod went, or is going."""
        self.uid = self._pod = None
        if self._sessions is not None:
            self._in_background(self._sessions.end())
        self.replaced += 1
        self._earlier += self._seen.restarts
        why = "its pod was deleted" if deleted else self._seen.reason
        self._seen = Seen("starting", f"{why}: another one takes its place" if self.spec is not None else why)
        self._warning = ""
        self._news()

    def fail(self, why: str) -> None:
        """It cannot have a pod."""
        self._seen = Seen("failed", why)
        self._news()

    def warn(self, why: str) -> None:
        """An event tells of trouble; it is a reason for as long as the pod's status has none."""
        self._warning = why
        self._news()

    async def let_go(self) -> None:
        """End what is open to it."""
        if self._again is not None:
            self._again.cancel()
        if self._sessions is not None:
            self._in_background(self._sessions.close())
        if self._closing:
            await asyncio.wait(self._closing)

    def launched(self) -> Launched:
        if self.stopping:
            return Launched(self.id, "stopped", self.digest, None, reason="stopped")
        found = self._seen
        if self._wordless and found.state == "running":
            found = replace(found, state="failed", reason=self._wordless)
        return Launched(
            self.id,
            found.state,
            self.digest,
            self._endpoint(),
            found.started,
            self._earlier + self.replaced + found.restarts,
            self._mask(found.reason or ("" if found.state == "running" else self._warning)),
        )

    def suffixes(self) -> Iterator[str]:
        """For names of pods while the usual one is taken."""
        return (f"-{secrets.token_hex(2)}" for _ in range(_ATTEMPTS))

    async def logs(self, lines: int, *, follow: bool) -> AsyncIterator[str]:
        """What its containers wrote; of a server that is spoken to on its streams, what it wrote to standard error."""
        # What a process that was begun in a container writes is in no log of the container.
        if self._tail.last or (follow and self._pod is not None and _reached(self._pod) == "exec"):
            if follow:
                async for line in self._tail.follow(lines):
                    yield line
            for line in self._tail.lines(lines):
                yield line
            return
        name = None if self._pod is None else str(self._pod["metadata"]["name"])
        if name is not None:
            async for line in read_log(self._pods, name, lines, follow=follow, restarted=self._seen.restarts > 0):
                yield self._mask(line)

    def _masked(self, text: str) -> str:
        return self._mask(text)

    def _endpoint(self) -> Endpoint | None:
        if self._sessions is not None:
            return self._sessions
        pod = self._pod
        if pod is None or self._seen.state != "running":
            return None
        address = str(inside(pod, "status").get("podIP") or "")
        ports = pod["spec"]["containers"][0].get("ports") or ()
        if not address or not ports:
            return None
        how = _reached(pod)
        host = f"[{address}]" if ":" in address else address
        scheme = "ws" if how == "websocket" else "http"
        return UrlEndpoint(f"{scheme}://{host}:{ports[0]['containerPort']}{_PATHS[how]}", cast("Transport", how))

    def _take_sessions(self, pod: Object) -> None:
        how = _reached(pod)
        if how not in ("exec", "attach"):
            return
        if self._sessions is None:
            self._sessions = Sessions(
                self._pods,
                self._tail,
                now=self.launched,
                failed=self._fell_silent,
                recycle=lambda: self._recycle(self),
            )
        words: list[str] = pod["spec"]["containers"][0].get("command") or [] if how == "exec" else []
        self._sessions.take(str(pod["metadata"]["name"]), tuple(word.replace("$$", "$") for word in words))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"end the sessions of {self.id}")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _fell_silent(self, why: str) -> None:
        """A process ended without a word."""
        if self._again is not None:
            self._again.cancel()
        self._again = asyncio.get_running_loop().call_later(_FAILED_FOR, self._try_again)
        self._wordless = why
        self._news()

    def _try_again(self) -> None:
        self._wordless = ""
        if self._sessions is not None:
            self._sessions.nudge()
        self._news()

    def _news(self) -> None:
        launched = self.launched()
        if launched != self._told:
            self._told = launched
            self._changed(self)


def _reached(pod: Object) -> Reached:
    return cast("Reached", inside(pod["metadata"], "annotations").get(REACHED, "http"))

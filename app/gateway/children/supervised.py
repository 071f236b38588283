"""One server as a local process: started, started again when it ends, slept when idle, given up when hopeless."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from app.gateway.children.child import Child
from app.gateway.children.children import Children
from app.gateway.children.command import CannotRun, Command
from app.gateway.children.listening import until_listening
from app.gateway.children.restarts import Restarts
from app.gateway.children.streams import ChildLines
from app.gateway.children.tail import Tail
from app.gateway.launcher import LaunchError, State

logger = logging.getLogger("slipway.child")

_HURRY = 1.0
"""Seconds that a start has to come to its end by itself when its server is stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a server is kept."""

    restarts: Restarts
    port: int | None = None
    """Where it listens; None where it speaks on its standard streams."""
    listens_within: float = 120.0
    """Seconds that it has to do so: it may have to be downloaded first."""
    most: int = 8
    """Children of it at a time."""


class Supervised:
    """Implements `StdioEndpoint`. Its first child is started at once; who opens a second time gets one more."""

    def __init__(
        self, command: Command, manner: Manner, children: Children, tail: Tail, changed: Callable[[], None]
    ) -> None:
        self.state: State = "starting"
        self.reason = ""
        self.started: datetime | None = None
        self.restarts = 0
        self.tail = tail
        self._command = command
        self._manner = manner
        self._children = children
        self._changed = changed
        self._current: Child | None = None
        self._taken = False
        self._living: set[Child] = set()
        self._starts: set[asyncio.Task[Child]] = set()
        self._openers: set[asyncio.Future[None]] = set()
        self._wanted = asyncio.Event()
        self._ends = 0
        self._stopped = False
        self._keeping: asyncio.Task[None] | None = None

    def start(self, after: Supervised | None = None) -> None:
        """Begin, once `after` is gone."""
        self._keeping = asyncio.create_task(self._keep(after), name=f"keep {self._command.server}")

    async def open(self) -> ChildLines:
        """The streams of a child that nobody else has; waits while one is about to start. Raises `LaunchError`."""
        while True:
            if self._stopped:
                raise LaunchError(f"{self._command.server!r} is stopped: start it first")
            current = self._current
            if current is not None and not current.lines.over:
                if self._taken:
                    return await self._one_more()
                self._taken = True
                return current.lines
            if self.state == "failed":
                raise LaunchError(self.reason)
            await self._change()

    async def stop(self) -> None:
        """End its children, and wait until nothing is left of them."""
        self._stopped = True
        self._wake()
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})
        while self._starts:
            await asyncio.wait(self._starts, timeout=_HURRY)
            self._children.give_up(self._command)
        await asyncio.gather(*(child.stop() for child in list(self._living)))

    async def _keep(self, after: Supervised | None) -> None:
        if after is not None:
            await after.stop()
        while True:
            try:
                child = await asyncio.shield(self._begin())
                self._current = child
            except LaunchError as error:
                hopeless = isinstance(error, CannotRun)
                self._ends = self._manner.restarts.attempts if hopeless else self._ends + 1
                await self._pause(str(error))
                continue
            began = asyncio.get_running_loop().time()
            reason = await self._live(child)
            self._current, self._taken = None, False
            if reason is None:
                await self._rest("idle" if child.lines.idle else "not in use")
                continue
            lived = asyncio.get_running_loop().time() - began
            self._ends = 1 if lived >= self._manner.restarts.steady else self._ends + 1
            await self._pause(reason)

    def _begin(self) -> asyncio.Task[Child]:
        """Start a child, in a task of its own: so a stop in the midst of it knows what there is to wait for."""
        start = asyncio.create_task(self._children.start(self._command, self.tail))
        self._starts.add(start)
        start.add_done_callback(self._has_started)
        return start

    def _has_started(self, start: asyncio.Task[Child]) -> None:
        self._starts.discard(start)
        if start.cancelled() or start.exception() is not None:
            return
        child = start.result()
        self._living.add(child)
        child.ended.add_done_callback(lambda _: self._let_go(child))
        if self._stopped:
            child.end()

    def _let_go(self, child: Child) -> None:
        """Whoever waits for it to be gone does so by itself."""
        gone = asyncio.ensure_future(child.gone.wait())
        gone.add_done_callback(lambda _: self._living.discard(child))

    async def _live(self, child: Child) -> str | None:
        """Until nothing is left of it: why it was lost, or None where we ended it."""
        refusal = await self._until_listening(child)
        if refusal is not None:
            await child.stop()
            return refusal
        self._move("running", "")
        ending = await asyncio.shield(child.ended)
        await child.gone.wait()
        return None if child.lines.let_go or child.lines.idle else ending.loss()

    async def _until_listening(self, child: Child) -> str | None:
        """Returns why it does not, where it does not."""
        port = self._manner.port
        if port is None:
            return None
        listening = asyncio.create_task(until_listening(port))
        try:
            await asyncio.wait(
                {listening, child.ended}, timeout=self._manner.listens_within, return_when=asyncio.FIRST_COMPLETED
            )
            if child.ended.done():
                return str(child.ended.result())
            if listening.done():
                return None
            return f"it does not listen on port {port} after {self._manner.listens_within:g} seconds"
        finally:
            listening.cancel()

    async def _one_more(self) -> ChildLines:
        if len(self._living) + len(self._starts) >= self._manner.most:
            raise LaunchError(
                f"{self._command.server!r} has {self._manner.most} children, the most that one server may have"
            )
        start = self._begin()
        try:
            return (await asyncio.shield(start)).lines
        except asyncio.CancelledError:
            start.add_done_callback(_end)  # nobody would
            raise

    async def _rest(self, why: str) -> None:
        """Ended on purpose: until somebody opens it."""
        self._ends = 0
        if not self._openers:
            self._move("stopped", why)
        while not self._openers:
            self._wanted.clear()
            await self._wanted.wait()
        self._move("starting", "")

    async def _pause(self, reason: str) -> None:
        """Ended by itself: until it is time to try again."""
        restarts = self._manner.restarts
        wait = restarts.wait(self._ends)
        self._move("failed" if restarts.failed(self._ends) else "starting", reason)
        fields = {"server": self._command.server, "reason": reason, "again_in": round(wait, 1), "ends": self._ends}
        logger.warning("a server ended", extra={"fields": fields})
        await asyncio.sleep(wait)
        self.restarts += 1

    async def _change(self) -> None:
        """Wait until something is otherwise."""
        opener: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._openers.add(opener)
        self._wanted.set()
        try:
            await opener
        finally:
            self._openers.discard(opener)

    def _move(self, state: State, reason: str) -> None:
        self.state, self.reason = state, reason
        if state == "running":
            self.started = datetime.now(UTC)
        self._changed()
        self._wake()

    def _wake(self) -> None:
        for opener in self._openers:
            if not opener.done():
                opener.set_result(None)


def _end(start: asyncio.Task[Child]) -> None:
    if not start.cancelled() and start.exception() is None:
        start.result().end()

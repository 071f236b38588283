"""All child processes of this gateway: how many there may be, and the keeper that they live under."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import tempfile
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.gateway.children.adopted import Adopted, Zombies, reap
from app.gateway.children.child import Child, pipe
from app.gateway.children.command import Command, TooManyChildren
from app.gateway.children.keeper import _wire as wire
from app.gateway.children.keeper._removal import remove
from app.gateway.children.keeper._spawn import adopt_orphans
from app.gateway.children.link import KeeperGone, KeeperLink
from app.gateway.children.metrics import ChildMetrics
from app.gateway.children.tail import Tail
from app.gateway.launcher import LaunchError

logger = logging.getLogger("slipway.child")

_STDIN, _STDOUT, _STDERR = 64 << 10, 256 << 10, 64 << 10
# Beyond 64 MiB of pipes a user's new ones get two pages each, so they are not as large as they could be.
_START_WITHIN = 20.0
_MINDERS_WITHIN = 10.0  # seconds that minders have to end their children when the keeper is gone
_PACE, _QUIET = 0.02, 5  # seconds between looks for what they leave, and how often there must be nothing
_ZOMBIES_EVERY = 30.0


class Children:
    """Starts children and knows all that live. Nothing runs before the first `start`."""

    def __init__(self, *, most: int = 200, folder: Path | None = None, metrics: ChildMetrics | None = None) -> None:
        self._most = most
        self._folder = folder
        self._metrics = metrics or ChildMetrics()
        self._link: KeeperLink | None = None
        self._alive: dict[int, Child] = {}
        self._number = 0
        self._closed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._zombies = Zombies()
        self._look: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Children under {self.keeper}: {list(self._alive.values())}>"

    def __len__(self) -> int:
        """How many there are, those that are ending included."""
        return len(self._alive)

    @property
    def keeper(self) -> int:
        """The keeper's pid; 0 while none runs."""
        return self._link.pid if self._link is not None and self._link.alive else 0

    async def start(self, command: Command, tail: Tail) -> Child:
        """A child that executes its program. Raises `LaunchError`."""
        if self._closed:
            raise LaunchError("the gateway is ending: no server is started any more")
        if len(self._alive) >= self._most:
            raise TooManyChildren(
                f"cannot start {command.server!r}: {self._most} child processes run, which is the most there may be; "
                "stop a server, or raise the limit"
            )
        child = await self._start(command, tail)
        try:
            async with asyncio.timeout(_START_WITHIN):
                await child.running()
        except BaseException as error:
            child.kill()
            if isinstance(error, TimeoutError):
                self._keeper().go_on()
                raise LaunchError(f"cannot start {command.server!r}: the keeper does not answer") from error
            raise
        return child

    def give_up(self, command: Command) -> None:
        """End those that were to run this very command and do not yet: what hangs may do so for long."""
        for child in self._alive.values():
            if child.command is command and not child.pid:
                child.kill()
                if self._link is not None:
                    self._link.go_on()

    async def check(self) -> None:
        """Raise `LaunchError` if no child could be started now."""
        if len(self._alive) >= self._most:
            raise LaunchError(f"{self._most} child processes run, which is the most there may be")
        self._keeper()

    async def close(self) -> None:
        """End all children and the keeper; returns when nothing is left."""
        self._closed = True
        if self._link is not None and self._link.alive:
            self._link.go_on()  # a child can have stopped it
        if self._look is not None:
            self._look.cancel()
        await asyncio.gather(*(child.stop() for child in list(self._alive.values())))
        if self._link is not None:
            await self._link.close()
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _start(self, command: Command, tail: Tail) -> Child:
        link = self._keeper()
        self._number += 1
        control, theirs = socket.socketpair(socket.AF_UNIX, wire.PACKETS)
        control.setblocking(False)
        private = tempfile.mkdtemp(prefix=f"slipway-{command.server}-", dir=self._folder)
        stdin, child_stdin = pipe(_STDIN, ours_reads=False)
        stdout, child_stdout = pipe(_STDOUT, ours_reads=True)
        stderr, child_stderr = pipe(_STDERR, ours_reads=True)
        child = self._alive[self._number] = Child(self._number, command, private, tail, self._metrics, control)
        given = [child_stdin, child_stdout, child_stderr, theirs.fileno()]
        try:
            await child.connect(stdin, os.fdopen(stdout, "rb", 0), os.fdopen(stderr, "rb", 0))
            await link.send(self._message(child), given)
        except (KeeperGone, OSError) as error:
            remove(private)
            self._forget(child)
            raise LaunchError(f"cannot start {command.server!r}: {error}") from error
        finally:
            theirs.close()
            for descriptor in given[:-1]:
                os.close(descriptor)
        return child

    def _message(self, child: Child) -> bytes:
        command, private = child.command, child.private
        environment = {"HOME": private, "TMPDIR": private, **command.environment}
        limits = {"files": command.open_files, "memory": command.memory, "look": command.look}
        directory = command.directory or private
        return wire.pack(wire.START, child.number, command.argv, environment, directory, private, limits)

    def _keeper(self) -> KeeperLink:
        if self._link is None or not self._link.alive:
            adopt_orphans()
            try:
                link = self._link = KeeperLink(self._told)
            except OSError as error:
                raise LaunchError(f"the keeper of child processes cannot be started: {error}") from error
            link.when_gone(self._keeper_gone)
            if self._look is None:
                self._look_for_zombies()
        return self._link

    def _told(self, what: str, number: int, count: int) -> None:
        child = self._alive.get(number)
        if child is None:
            return
        if what == wire.FORKED:
            child.minder = count
        else:
            self._do(self._let_go(child, count))

    async def _let_go(self, child: Child, strays: int) -> None:
        await child.reaped(strays)
        self._alive.pop(child.number, None)

    def _forget(self, child: Child) -> None:
        self._do(self._let_go(child, 0))

    def _keeper_gone(self, link: KeeperLink) -> None:
        """Its children end with it: their minders see to that, and we to what they leave."""
        if not self._closed or self._alive:
            logger.error("the keeper of child processes is gone: its children end, the next one gets a new keeper")
        self._do(link.close())
        if self._alive:
            self._do(self._end_without_keeper(link, list(self._alive.values())))

    async def _end_without_keeper(self, link: KeeperLink, children: list[Child]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_MINDERS_WITHIN):
                await asyncio.gather(*(child.unwatched.wait() for child in children))
        await link.close()
        adopted = Adopted(link.mark)
        minders = {child.minder for child in children if child.minder}
        patience = 0
        while patience < _QUIET:
            left = adopted.end()
            minders = {minder for minder in minders if not reap(minder)}
            patience = 0 if left or minders else patience + 1
            await asyncio.sleep(_PACE)
        for child in children:
            await asyncio.to_thread(remove, child.private)  # in case that its minder could not
            await self._let_go(child, 0)

    def _look_for_zombies(self) -> None:
        self._zombies.look()
        self._look = asyncio.get_running_loop().call_later(_ZOMBIES_EVERY, self._look_for_zombies)

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

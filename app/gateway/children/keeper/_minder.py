"""One child's parent: a forked keeper, the subreaper of that child's whole tree, and the only one who ends it.

A process of its own for each child makes it exact which processes belong to it, however they daemonise: all that are
left below the minder, and nothing else. Ended is what `waitpid` says has no more children.
"""

from __future__ import annotations

import os
import select
import time
from _socket import socket

from app.gateway.children.keeper import _wire as wire
from app.gateway.children.keeper._removal import remove
from app.gateway.children.keeper._spawn import adopt_orphans, become
from app.gateway.children.keeper._tree import LINUX, children_of, descendants_of, kill_below, memory_of, state_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Sequence
    from typing import Any, NoReturn
else:
    import _signal  # `signal` brings `enum`, which is larger than all of this


_TERM, _KILL, _CONT = 15, 9, 18 if LINUX else 19
_GRACE = 0.3  # seconds for what a child leaves behind, and for all when the gateway is gone
_STUCK = 5.0  # seconds after which it is told what SIGKILL did not end
_BLIND = 0.05  # seconds between looks where the kernel cannot tell that a process ended


class Minder:
    """Started with one child's command; returns when nothing of it is left."""

    def __init__(self, control: socket, alive: int, limits: dict[str, Any]) -> None:
        self._control: socket | None = control
        self._alive = alive
        self._limits = limits
        self._memory = int(limits["memory"])
        self._look_every = float(limits["look"])
        self._main = 0
        self._running = False
        self._killed = False
        self._sweeping = False
        """Whatever ends by SIGKILL now outlived its server."""
        self._why = ""
        self._orphans: set[int] = set()
        self._most_memory = 0
        self._stages: list[tuple[float, int]] = []
        """When to send which signal, next first."""

    def mind(self, argv: Sequence[str], environment: dict[str, str], directory: str, streams: Sequence[int]) -> None:
        """From fork to the end of the last descendant."""
        adopt_orphans()
        refused = self._start(argv, environment, directory, streams)
        for stream in streams:
            os.close(stream)
        if refused is not None:
            self._tell(wire.REFUSED, refused)
        else:
            self._tell(wire.RUNNING, self._main)
            self._watch()
        self._sweep()

    def leave(self) -> None:
        """Say that nothing is left."""
        self._tell(wire.GONE, len(self._orphans), self._most_memory)

    def _start(
        self, argv: Sequence[str], environment: dict[str, str], directory: str, streams: Sequence[int]
    ) -> int | None:
        reading, writing = os.pipe()  # closed by a successful execve
        parent = os.getpid()
        self._main = os.fork()
        if self._main == 0:
            become(argv, environment, directory, streams, self._limits, parent, writing)
        os.close(writing)
        if not self._wait_for(reading):
            _kill(self._main, _KILL)
        said = os.read(reading, 16)
        os.close(reading)
        self._running = True
        return int(said) if said else None

    def _wait_for(self, reading: int) -> bool:
        """Until it can be read; False when somebody wants an end before that, for a process can be stopped anywhere."""
        poll = select.poll()
        poll.register(reading, select.POLLIN)
        poll.register(self._alive, select.POLLIN)
        if self._control is not None:
            poll.register(self._control.fileno(), select.POLLIN)
        return any(descriptor == reading for descriptor, _ in poll.poll())

    def _watch(self) -> None:
        poll = select.poll()
        handle = os.pidfd_open(self._main) if LINUX else -1
        ended = _told_of_ends()  # of daemons too: their zombies would fill the table of processes
        watched = [self._alive, ended, handle] if LINUX else [self._alive, ended]
        if self._control is not None:
            watched.append(self._control.fileno())
        for descriptor in watched:
            poll.register(descriptor, select.POLLIN)
        look = time.monotonic() + self._look_every
        while self._running:
            now = time.monotonic()
            due = min([look, *(when for when, _ in self._stages[:1])])
            wait = max(0.0, due - now) if LINUX else _BLIND
            for descriptor, _ in poll.poll(wait * 1000 + 1):
                if descriptor == ended:
                    os.read(ended, 4096)
                elif descriptor == self._alive or (descriptor != handle and not self._hear()):
                    poll.unregister(descriptor)
                    self._stop(0.0, _GRACE)
            self._reap()
            now = time.monotonic()
            while self._stages and self._stages[0][0] <= now:
                self._signal(self._stages.pop(0)[1])
            if look <= now:
                look = now + self._look_every
                self._look()

    def _hear(self) -> bool:
        """Do what the gateway says; False when it is gone."""
        if self._control is None:
            return True
        try:
            data = self._control.recv(wire.LARGEST)
        except OSError:
            data = b""
        if not data:
            self._control.close()
            self._control = None
            return False
        _, after_input, after_term = wire.unpack(data)
        self._stop(after_input, after_term)
        return True

    def _stop(self, after_input: float, after_term: float) -> None:
        now = time.monotonic()
        self._why = self._why or wire.ASKED
        self._stages = [(now + after_input, _TERM), (now + after_input + after_term, _KILL)]

    def _signal(self, number: int) -> None:
        if number == _KILL:
            self._note_orphans()
            self._killed = True
            _kill(-self._main, _KILL)
            return
        _kill(-self._main, number)
        _kill(-self._main, _CONT)  # one that is stopped would not hear it

    def _look(self) -> None:
        """Whether the tree takes more memory than it may."""
        if not self._memory:
            return
        used = memory_of(descendants_of(os.getpid()))
        self._most_memory = max(self._most_memory, used)
        if used > self._memory and not self._why:
            self._why = wire.MEMORY
            self._signal(_KILL)

    def _reap(self) -> bool:
        """Whether there are children left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._main:
                self._running = False
                self._tell(wire.EXITED, status, self._why)
            elif self._sweeping and os.WIFSIGNALED(status) and os.WTERMSIG(status) == _KILL:
                self._orphans.add(pid)  # a list of children may lack one while another of them ends

    def _sweep(self) -> None:
        """End what is left: its own group politely first, then all until `waitpid` has nobody to wait for."""
        if not self._reap():
            return
        polite = time.monotonic()
        if not self._killed:
            self._sweeping = True
            polite += _GRACE
            for pid in self._group():
                _kill(pid, _TERM)
                _kill(pid, _CONT)
        stuck = polite + _STUCK
        pause = 0.001
        while self._reap():
            now = time.monotonic()
            if now >= polite:
                self._note_orphans()
                kill_below(children_of(os.getpid()))
            if now >= stuck:
                self._tell(wire.STUCK, children_of(os.getpid()))
                stuck = float("inf")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.02 if stuck != float("inf") else 1.0)

    def _group(self) -> list[int]:
        """Descendants that are in the child's own group still."""
        return [pid for pid in descendants_of(os.getpid()) if _group_of(pid) == self._main]

    def _note_orphans(self) -> None:
        """Count who left the child's group, or outlived the child."""
        for pid in descendants_of(os.getpid()):
            if pid == self._main or state_of(pid) in ("Z", ""):
                continue
            if not (self._running or self._killed) or _group_of(pid) != self._main:
                self._orphans.add(pid)

    def _tell(self, *message: Any) -> None:
        if self._control is None:
            return
        try:
            self._control.send(wire.pack(*message))
        except OSError:
            pass  # nobody listens any more, which `_hear` finds out


def _told_of_ends() -> int:
    """A descriptor that can be read whenever a child of ours has ended."""
    reading, writing = os.pipe()
    for descriptor in (reading, writing):
        os.set_blocking(descriptor, False)
    _signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    _signal.signal(_signal.SIGCHLD, _nothing)
    return reading


def _nothing(number: int, frame: object) -> None:
    """That there is a handler is enough for the descriptor to be written to."""


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # it ended meanwhile


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def be_minder(
    control: socket,
    alive: int,
    argv: Sequence[str],
    environment: dict[str, str],
    directories: tuple[str, str],
    streams: Sequence[int],
    limits: dict[str, Any],
) -> NoReturn:
    """All that a forked keeper does before it exits. The directories: where to start, and what to remove."""
    status = 1
    try:
        directory, private = directories
        minder = Minder(control, alive, limits)
        minder.mind(argv, environment, directory, streams)
        remove(private)
        minder.leave()
        status = 0
    finally:
        os._exit(status)

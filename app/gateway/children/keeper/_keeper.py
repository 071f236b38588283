"""The keeper of child processes: a small program that the gateway starts, and that forks a minder for each child.

It exists so that nothing outlives a gateway that is killed. A minder ends its child when the gateway's end of its
control socket closes, or when the keeper is gone; the keeper ends what a killed minder leaves behind; and the
gateway, a subreaper as well, what both leave behind.
"""

from __future__ import annotations

import _socket
import array
import os
import select
import time
from _socket import socket

from app.gateway.children.keeper import _wire as wire
from app.gateway.children.keeper._mark import bear
from app.gateway.children.keeper._minder import be_minder
from app.gateway.children.keeper._removal import remove
from app.gateway.children.keeper._spawn import adopt_orphans
from app.gateway.children.keeper._tree import LINUX, children_of, kill_below

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_DESCRIPTORS = 4  # the child's three streams and the control socket of its minder
_KILL, _CONT = 9, 18 if LINUX else 19
_LEAVE = 10.0  # seconds that the minders have when the gateway is gone
_BLIND = 50  # milliseconds between looks where the kernel cannot tell that a process ended


class Keeper:
    """Forks minders for as long as the gateway is there."""

    def __init__(self, gateway: socket) -> None:
        self._gateway = gateway
        self._alive, self._alive_writer = os.pipe()  # at its end, the minders know that the keeper is gone
        self._minders: dict[int, tuple[int, int, str]] = {}
        """By pid: the child's number, a descriptor that tells of its end (or -1), the directory to remove."""
        self._poll = select.poll()

    def keep(self) -> None:
        """Until the gateway is gone, and all minders with it."""
        adopt_orphans()
        self._poll.register(self._gateway.fileno(), select.POLLIN)
        parent = os.getppid()
        while LINUX or os.getppid() == parent:
            ready = self._poll.poll(None if LINUX else _BLIND)
            if any(descriptor == self._gateway.fileno() for descriptor, _ in ready) and not self._hear():
                break
            self._reap()
        self._leave()

    def _hear(self) -> bool:
        """Start what the gateway asks for; False when it is gone."""
        numbers = array.array("i")
        space = _socket.CMSG_SPACE(_DESCRIPTORS * numbers.itemsize)
        try:
            data, ancillary, _, _ = self._gateway.recvmsg(wire.LARGEST, space, _CLOSE_ON_EXEC)
        except OSError:
            return False
        if not data:
            return False
        for _, _, passed in ancillary:
            numbers.frombytes(passed[: _DESCRIPTORS * numbers.itemsize])
        try:
            self._start(wire.unpack(data), list(numbers))
        finally:
            for descriptor in numbers:
                os.close(descriptor)
        return True

    def _start(self, message: wire.Message, descriptors: list[int]) -> None:
        _, number, argv, environment, directory, private, limits = message
        *streams, control = descriptors
        try:
            pid = os.fork()
        except OSError:
            remove(private)  # its control socket closes, and REAPED says the rest
            self._tell(wire.REAPED, number, 0)
            return
        if pid == 0:
            self._gateway.close()
            os.close(self._alive_writer)
            for _, handle, _ in self._minders.values():
                os.close(handle)
            be_minder(socket(fileno=control), self._alive, argv, environment, (directory, private), streams, limits)
        handle = os.pidfd_open(pid) if LINUX else -1
        if LINUX:
            self._poll.register(handle, select.POLLIN)
        self._minders[pid] = (number, handle, private)
        self._tell(wire.FORKED, number, pid)

    def _reap(self) -> None:
        """Wait for all that have ended, and end what a minder that was killed left behind."""
        gone = self._wait()
        if not gone:
            return
        strays = self._end_strays(gone)
        for number, handle, private in gone:
            if LINUX:
                self._poll.unregister(handle)
                os.close(handle)
            remove(private)  # in case that its minder could not
            self._tell(wire.REAPED, number, strays)
            strays = 0

    def _wait(self) -> list[tuple[int, int, str]]:
        """The minders that have ended; strays that have are forgotten."""
        gone: list[tuple[int, int, str]] = []
        while self._minders:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid in self._minders:
                gone.append(self._minders.pop(pid))
        return gone

    def _end_strays(self, gone: list[tuple[int, int, str]]) -> int:
        """End what is ours and no minder. Minders that end meanwhile are added to `gone`."""
        ended: set[int] = set()
        while True:
            gone += self._wait()
            below = [pid for pid in children_of(os.getpid()) if pid not in self._minders]
            if not below:
                return len(ended)
            for pid in kill_below(below):
                ended.add(pid)
            for pid in below:
                _wait_for(pid)
            time.sleep(0.0005)

    def _leave(self) -> None:
        """The minders have seen the end of the gateway too; a stopped or stuck one is not waited for."""
        self._gateway.close()
        for pid in self._minders:
            _kill(pid, _CONT)
        deadline = time.monotonic() + _LEAVE
        while self._minders:
            self._reap()
            if time.monotonic() > deadline:
                for pid in self._minders:
                    _kill(pid, _KILL)
            time.sleep(0.005)
        self._end_strays([])

    def _tell(self, *message: Any) -> None:
        try:
            self._gateway.send(wire.pack(*message))
        except OSError:
            pass  # nobody listens any more, which `_hear` finds out


_CLOSE_ON_EXEC = getattr(_socket, "MSG_CMSG_CLOEXEC", 0)


def _wait_for(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass  # reaped already


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # it ended meanwhile


def main(descriptor: int, mark: int) -> None:
    """The program."""
    bear(mark)
    Keeper(socket(fileno=descriptor)).keep()

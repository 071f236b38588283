"""The gateway's side of its keeper."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import app
from app.gateway.children.keeper import _wire as wire
from app.gateway.children.keeper._mark import new_mark
from app.gateway.children.keeper._tree import LINUX
from app.gateway.children.packets import packets

_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); from app.gateway.children.keeper._keeper import main; "
    "main(int(sys.argv[2]), int(sys.argv[3]))"
)
_BUFFER = 1 << 20
_BUSY = 0.002  # seconds between attempts while its socket is full


class KeeperGone(Exception):
    """The keeper ended while it was told something."""


class KeeperLink:
    """A keeper that was started, and the socket to it."""

    def __init__(self, told: Callable[[str, int, int], None]) -> None:
        self.mark = new_mark()
        """By which its processes are known when it is gone."""
        self._told = told
        self._when_gone: Callable[[KeeperLink], None] | None = None
        self._loop = asyncio.get_running_loop()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, wire.PACKETS)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        root = str(Path(app.__file__ or "").parent.parent)
        try:
            # A session of its own: Ctrl-C and a signal to the gateway's group are not for it.
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-I", "-S", "-B", "-c", _PROGRAM, root, str(theirs.fileno()), str(self.mark)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                cwd="/",
                env={"PATH": os.defpath},
            )
        except OSError:
            self._socket.close()
            raise
        finally:
            theirs.close()
        self.pid = self._process.pid
        self._loop.add_reader(self._socket.fileno(), self._hear)

    @property
    def alive(self) -> bool:
        return self._socket.fileno() >= 0

    def when_gone(self, call: Callable[[KeeperLink], None]) -> None:
        """Have that called when the keeper is gone."""
        self._when_gone = call

    async def send(self, message: bytes, descriptors: list[int]) -> None:
        """Give it a message with file descriptors. Raises `KeeperGone` and `OSError`."""
        while self.alive:
            try:
                socket.send_fds(self._socket, [message], descriptors)
            except BlockingIOError:
                await asyncio.sleep(_BUSY)
            except (BrokenPipeError, ConnectionResetError):
                break
            else:
                return
        raise KeeperGone("the keeper of child processes is gone")

    def go_on(self) -> None:
        """Wake it, where somebody has stopped it."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)

    async def close(self) -> None:
        """Let it end, and wait for it."""
        self._let_go()
        await self._ended()

    def _hear(self) -> None:
        for data in packets(self._socket):
            if data:
                self._told(*wire.unpack(data))
                continue
            self._let_go()
            if self._when_gone is not None:
                self._when_gone(self)

    def _let_go(self) -> None:
        if self.alive:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    async def _ended(self) -> None:
        """`Popen` waits for its own pid only, and may be asked again."""
        if self._process.returncode is None and LINUX:
            await self._exit()
        pause = 0.001
        while self._process.poll() is None:
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.1)

    async def _exit(self) -> None:
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        over = asyncio.Event()
        self._loop.add_reader(handle, over.set)
        try:
            await over.wait()
        finally:
            self._loop.remove_reader(handle)
            os.close(handle)

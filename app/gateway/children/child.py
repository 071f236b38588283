"""One running child: its lines, its end, and the ladder that ends it."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from contextlib import suppress
from typing import IO, cast

from app.gateway.children.command import CannotRun, Command, refused
from app.gateway.children.ending import Ending, exit_code
from app.gateway.children.keeper import _wire as wire
from app.gateway.children.metrics import ChildMetrics, ChildState
from app.gateway.children.packets import packets
from app.gateway.children.streams import ChildLines
from app.gateway.children.tail import ErrorStream, Tail
from app.gateway.launcher import LaunchError

logger = logging.getLogger("slipway.child")

_SILENT = 1.0  # seconds that a child may live on after it closed its output
_MINDER = 10.0  # seconds that the minder may take longer than it was told
_DRAIN = 0.5  # seconds for what is left in its pipes when nothing of it is left


class Child:
    """Made by `Children.start`. `gone` is set when no process, descriptor or directory of it is left."""

    def __init__(
        self,
        number: int,
        command: Command,
        private: str,
        tail: Tail,
        metrics: ChildMetrics,
        control: socket.socket,
    ) -> None:
        self.number = number
        self.command = command
        self.private = private
        """Its HOME, and where it starts unless it is told otherwise."""
        self.pid = 0
        self.minder = 0
        self.orphans = 0
        self.most_memory = 0
        self.ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        """Done when the child itself has ended; its descendants may be about to."""
        self.gone = asyncio.Event()
        self.unwatched = asyncio.Event()
        """Set when its minder is gone."""
        self.lines: ChildLines
        self._tail = tail
        self._metrics = metrics
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = self._loop.create_future()
        self._state: ChildState | None = None
        self._pipes = 2
        self._drained = asyncio.Event()
        self._stopping = self._letting_go = False
        self._impatience: asyncio.TimerHandle | None = None
        self._idling: asyncio.TimerHandle | None = None
        self._transports: list[asyncio.ReadTransport] = []
        self.move("starting")
        self._loop.add_reader(control.fileno(), self._hear)

    def __repr__(self) -> str:
        watch = "unwatched" if self.unwatched.is_set() else f"minder {self.minder}"
        return f"<Child {self.number} of {self.command.server}: {self._state}, pid {self.pid}, {watch}>"

    async def connect(self, stdin: int, stdout: IO[bytes], stderr: IO[bytes]) -> None:
        """Take its pipes into the event loop."""
        self.lines = ChildLines(
            stdin,
            self._tail,
            self.command.longest_line,
            close=self.stop,
            ended=self._output_ended,
        )
        output = self.lines if self.command.speaks else ErrorStream(self._tail, self._output_ended)
        for stream, protocol in ((stdout, output), (stderr, ErrorStream(self._tail, self._pipe_ended))):
            transport, _ = await self._loop.connect_read_pipe(lambda taker=protocol: taker, stream)
            self._transports.append(transport)

    async def running(self) -> None:
        """Wait until it executes its program; raises `LaunchError` where it cannot."""
        await self._started
        self.move("running")
        if self.command.idle is not None and self.command.speaks:
            self._look_whether_idle(self.command.idle)

    def end(self) -> None:
        """Begin to end it: the end of its input, SIGTERM, SIGKILL, each after its time. Returns at once."""
        if self._stopping or self.gone.is_set():
            return
        self.move("stopping")
        self.lines.close_input()
        self._end_within(self.command.after_input, self.command.after_term)

    async def stop(self) -> None:
        """End it, and wait until nothing of it is left."""
        self.end()
        await self.gone.wait()

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        if not self.gone.is_set():
            self._end_within(0.0, 0.0)

    async def reaped(self, strays: int = 0) -> None:
        """Nothing of it is left, its keeper says: let go of what is ours."""
        if self._letting_go:
            return
        self._letting_go = True
        self._hear()  # its minder's last words can be unread: the keeper's came by another way
        self.orphans += strays
        for timer in (self._impatience, self._idling):
            if timer is not None:
                timer.cancel()
        with suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN):  # a socket or pipe passed to another process can keep one open
                await self._drained.wait()
        self.lines.close_input()
        for transport in self._transports:
            transport.close()
        self._lose_control()
        self._finish(Ending(None))
        if self.pid:  # as many are reaped in the end as were started
            self._metrics.reaped.inc()
        self._metrics.orphans.inc(self.orphans)
        self.move(None)
        self.gone.set()

    def move(self, state: ChildState | None) -> None:
        """Be counted as in that state; a child that is being stopped never runs again."""
        if state == "running" and self._state != "starting":
            return
        self._metrics.moved(self._state, state)
        self._state = state

    def _hear(self) -> None:
        for data in packets(self._control):
            if data:
                self._told(wire.unpack(data))
            else:
                self._lose_control()

    def _told(self, message: wire.Message) -> None:
        match message:
            case (wire.RUNNING, int(pid)):
                self.pid = pid
                self._metrics.started.inc()
                if not self._started.done():
                    self._started.set_result(None)
            case (wire.REFUSED, int(number)):
                path = self.command.environment.get("PATH", "")
                self._refuse(CannotRun(refused(self.command.argv, number, path)))
            case (wire.EXITED, int(status), str(why)):
                self._finish(Ending(exit_code(status), self._explain(why), self._tail.last))
            case (wire.GONE, int(orphans), int(memory)):
                self.orphans, self.most_memory = orphans, memory
            case (wire.STUCK, pids):
                fields = {"server": self.command.server, "pids": str(pids)}
                logger.error("processes do not end by SIGKILL: waiting for them", extra={"fields": fields})
            case _:
                pass

    def _explain(self, why: str) -> str:
        if why != wire.MEMORY:
            return why
        return f"ended: it took more memory than its limit of {self.command.memory >> 20} MiB"

    def _end_within(self, after_input: float, after_term: float) -> None:
        self._stopping = True
        self._signal_minder(signal.SIGCONT)  # its child can have stopped it
        with suppress(OSError):
            self._control.send(wire.pack(wire.STOP, after_input, after_term))
        if self._impatience is not None:
            self._impatience.cancel()
        patience = after_input + after_term + _MINDER
        self._impatience = self._loop.call_later(patience, self._signal_minder, signal.SIGKILL)

    def _signal_minder(self, number: signal.Signals) -> None:
        """Killed, it leaves the tree to the keeper to end."""
        if self.minder and not self.unwatched.is_set():
            with suppress(ProcessLookupError):
                os.kill(self.minder, number)

    def _refuse(self, reason: LaunchError) -> None:
        if not self._started.done():
            self._started.set_exception(reason)
            self._started.exception()  # whoever started it may have gone

    def _finish(self, ending: Ending) -> None:
        self._refuse(LaunchError("it ended before it ran: it was killed, or there is no room for one more process"))
        if not self.ended.done():
            self.ended.set_result(ending)

    def _output_ended(self) -> None:
        self._pipe_ended()
        if not self.ended.done():  # without an output it is of no use
            self._impatience = self._loop.call_later(_SILENT, self.end)

    def _look_whether_idle(self, idle: float) -> None:
        left = self.lines.touched + idle - self._loop.time()
        if left > 0:
            self._idling = self._loop.call_later(left, self._look_whether_idle, idle)
        elif not self._stopping:
            self.lines.idle = True
            self.end()

    def _pipe_ended(self) -> None:
        self._pipes -= 1
        if self._pipes == 0:
            self._drained.set()

    def _lose_control(self) -> None:
        if self._control.fileno() >= 0:
            self._loop.remove_reader(self._control.fileno())
            self._control.close()
        self.unwatched.set()


def pipe(size: int, *, ours_reads: bool) -> tuple[int, int]:
    """Our end and the child's end of a new pipe; ours does not block, and it holds `size` bytes where it may."""
    import fcntl

    reading, writing = os.pipe()
    ours, theirs = (reading, writing) if ours_reads else (writing, reading)
    os.set_blocking(ours, False)
    resize = cast("int | None", getattr(fcntl, "F_SETPIPE_SZ", None))
    if resize is not None:
        with suppress(OSError):  # the user's share of pipe memory is taken
            fcntl.fcntl(ours, resize, size)
    return ours, theirs

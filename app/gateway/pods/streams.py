"""The standard streams of a process in a container, as whole lines, over one WebSocket to the API server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Self

import aiohttp
import msgspec

from app.gateway.children.output import Output
from app.gateway.children.tail import Errors, Tail
from app.kubernetes import Object

_STDIN, _STDOUT, _STDERR, _STATUS, _CLOSE = 0, 1, 2, 3, 255
_PIECE: Final = 32 * 1024
"""Bytes of one frame; what is sent is cut into them."""


class RemoteLines:
    """Implements `Lines`: one reader, any number of writers. `ended` is told once, of the end and its reason.

    What is not taken is not read, so a server that writes faster than it is heard has to wait, and so does one that
    floods with what is no message, and a sender whose server reads too slowly.
    """

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        tail: Tail,
        *,
        longest: int,
        after_input: float,
        ended: Callable[[RemoteLines], None],
    ) -> None:
        self.reason = ""
        """How it ended: empty for an end without a fault."""
        self.let_go = False
        self._socket = socket
        self._tail = tail
        self._after_input = after_input
        self._ended: Callable[[RemoteLines], None] | None = ended
        self._output = Output(tail, longest)
        self._errors = Errors(tail)
        self._lines = self._output.messages
        self._loop = asyncio.get_running_loop()
        self._read_on = 0.0
        """When it may be read again."""
        self._reading = asyncio.Lock()
        self._sending = asyncio.Lock()
        self._over = False
        self._status: Object | None = None

    @property
    def spoke(self) -> bool:
        """Whether it ever wrote a message."""
        return self._output.spoke

    @property
    def lingers(self) -> bool:
        """It ended for us, and nobody said that its process ended: it may still be there."""
        return self._over and self._status is None

    @property
    def halves(self) -> bool:
        """Whether the input alone can be ended, and the end of the process then be seen."""
        return self._socket.protocol == "v5.channel.k8s.io"

    async def send(self, line: bytes) -> None:
        async with self._sending:
            if self._over or self.let_go or self._socket.closed:
                raise EOFError("the server has ended")
            whole = line + b"\n"
            try:
                for start in range(0, len(whole), _PIECE):
                    await self._socket.send_bytes(b"\0" + whole[start : start + _PIECE])
            except (aiohttp.ClientError, OSError) as error:
                raise EOFError("the server no longer reads its input") from error

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._lines:
            if self._over or self.let_go:
                raise StopAsyncIteration
            async with self._reading:
                await self._read()
        return self._output.take()

    async def close(self) -> None:
        if self.let_go:
            return
        self.let_go = True
        if not self._over and self.halves:
            # A process that hears of the end of its input ends; one that does not outlives its connection.
            with suppress(TimeoutError, aiohttp.ClientError, OSError):
                async with asyncio.timeout(self._after_input):
                    await self._socket.send_bytes(bytes((_CLOSE, _STDIN)))
                    async with self._reading:
                        while not self._over:
                            self._output.drop()
                            await self._read()
        await self._hang_up()
        self._end()

    async def _hang_up(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._after_input):
                await self._socket.close()

    async def _read(self) -> None:
        """Take one frame, whatever is in it."""
        if not self.let_go and (pause := self._read_on - self._loop.time()) > 0:
            await asyncio.sleep(pause)
        if self._over:
            return
        message = await self._socket.receive()
        data: Any = message.data
        if message.type is aiohttp.WSMsgType.BINARY and data:
            self._take(data[0], data[1:])
        elif message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED):
            self._end("" if self._status is not None or self.let_go else "the connection to its container was closed")
        elif message.type is aiohttp.WSMsgType.ERROR:
            self._end(f"the connection to its container was lost: {data or 'no answer'}")
        if self._over:
            await self._hang_up()

    def _take(self, channel: int, data: bytes) -> None:
        if channel in (_STDOUT, _STDERR):
            pause = (self._output if channel == _STDOUT else self._errors).feed(data)
            if pause:
                self._read_on = self._loop.time() + pause
        elif channel == _STATUS:
            self._status = msgspec.json.decode(data, type=dict[str, Any])
            self._end(_failure(self._status, self._tail))

    def _end(self, reason: str = "") -> None:
        if not self._over:
            self._over = True
            self.reason = reason
            self._output.end()
            self._errors.end()
        if (self.let_go or self._status is not None or self.reason) and self._ended is not None:
            told, self._ended = self._ended, None
            told(self)


def _failure(status: Object, tail: Tail) -> str:
    """Of the status that a process ends with: why it is one of failure."""
    if status.get("status") == "Success":
        return ""
    details: Object = status.get("details") or {}
    causes: list[Object] = details.get("causes") or []
    for cause in causes:
        if cause.get("reason") == "ExitCode":
            return f"exit status {cause.get('message')}" + (f": {tail.last}" if tail.last else "")
    return str(status.get("message") or status.get("reason") or "it failed")

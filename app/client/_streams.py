"""Links that carry many messages both ways: a child process's stdio, and a WebSocket."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, cast

from app.client._messages import ClientError, Handler, JsonObject, Pending, decode, encode, result_of

_LINE_LIMIT = 16 * 1024 * 1024
_GRACE = 3.0  # seconds a child has to end by itself once its stdin is closed


class StdioLink:
    """A server that runs as our child; ended with us, whatever it does."""

    def __init__(self, command: str, handler: Handler) -> None:
        self._command = command
        self._pending = Pending(handler, self.notify)
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def open(self) -> None:
        words = shlex.split(self._command)
        if not words:
            raise ClientError("the command is empty: give one like 'slipway' or 'npx -y some-server'")
        try:
            self._process = await asyncio.create_subprocess_exec(
                *words, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=_LINE_LIMIT
            )
        except OSError as error:
            raise ClientError(f"cannot run {words[0]!r} ({error.strerror}): is it installed and on PATH?") from None
        self._reader = asyncio.create_task(self._read(self._process))

    async def request(self, message: JsonObject) -> JsonObject:
        future = self._pending.expect(message["id"])
        await self.notify(message)
        return result_of(await future)

    async def notify(self, message: JsonObject) -> None:
        process = self._process
        if process is None or process.stdin is None:
            raise ClientError("the server's process is not running")
        with suppress(ConnectionError):
            process.stdin.write(encode(message) + b"\n")
            await process.stdin.drain()

    def agreed(self, revision: str) -> None:
        """Nothing of it shows on this transport."""

    async def close(self) -> None:
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _GRACE)
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101 (asked for as a pipe above)
        error: Exception = ClientError("the server's process ended before it answered")
        try:
            while line := await process.stdout.readline():
                if line.strip():
                    self._pending.take(decode(line))
        except (ClientError, ValueError) as problem:
            error = problem if isinstance(problem, ClientError) else ClientError("the server sent too long a line")
        finally:
            self._pending.end(error)


class WebSocketLink:
    """A WebSocket with the subprotocol `mcp`."""

    def __init__(self, url: str, handler: Handler, headers: Mapping[str, str]) -> None:
        self._url = url
        self._headers = dict(headers)
        self._pending = Pending(handler, self.notify)
        self._socket: Any = None
        self._reader: asyncio.Task[None] | None = None

    async def open(self) -> None:
        from websockets.asyncio.client import connect
        from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI
        from websockets.typing import Subprotocol

        try:
            self._socket = await connect(
                self._url,
                subprotocols=[Subprotocol("mcp")],
                additional_headers=self._headers,
                compression=None,
                max_size=_LINE_LIMIT,
            )
        except InvalidStatus as error:
            status, body = error.response.status_code, bytes(error.response.body or b"").decode("utf-8", "replace")
            raise ClientError(f"{self._url} answered {status} instead of opening a WebSocket: {body[:300]}") from None
        except (InvalidURI, InvalidHandshake, OSError) as error:
            raise ClientError(f"cannot open a WebSocket to {self._url}: {error}") from None
        self._reader = asyncio.create_task(self._read())

    async def request(self, message: JsonObject) -> JsonObject:
        future = self._pending.expect(message["id"])
        await self.notify(message)
        return result_of(await future)

    async def notify(self, message: JsonObject) -> None:
        from websockets.exceptions import ConnectionClosed

        with suppress(ConnectionClosed):
            await self._socket.send(encode(message).decode())

    def agreed(self, revision: str) -> None:
        """Nothing of it shows on this transport."""

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()
        if self._reader is not None:
            await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        from websockets.exceptions import ConnectionClosed

        error: Exception = ClientError("the server closed the WebSocket")
        try:
            while True:
                self._pending.take(decode(cast("bytes | str", await self._socket.recv())))
        except ConnectionClosed as closed:
            if closed.rcvd is not None:
                error = ClientError(f"the server closed the WebSocket: {closed.rcvd.code} {closed.rcvd.reason}")
        except ClientError as problem:
            error = problem
        finally:
            self._pending.end(error)

"""The Kubernetes API as far as pods need it: requests that are tried again, streams of lines, WebSockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import msgspec

from app.gateway.pods.access import Access, NoAccess
from app.resilience import Backoff, retrying
from app.sockets import Sockets

Object = dict[str, Any]

MANAGER: Final = "slipway-gateway"
PROTOCOLS: Final = ("v5.channel.k8s.io", "v4.channel.k8s.io")
MERGE: Final = "application/merge-patch+json"

_TIMEOUT: Final = aiohttp.ClientTimeout(total=30, connect=5)
_BACKOFF: Final = Backoff(attempts=6, base=0.2, most=3.0)
_PATIENCE: Final = 20.0
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_HEARTBEAT: Final = 20.0
_MAX_FRAME: Final = 64 << 20


def inside(thing: Object, part: str) -> Object:
    """A part of an object that is an object itself; empty where it has none."""
    return thing.get(part) or {}


class ApiError(Exception):
    """A refusal of the API server: its status, its one-word reason and its message."""

    def __init__(self, status: int, reason: str, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.after = after
        """Seconds to wait before it is asked again."""


class ApiAway(Exception):
    """The API server cannot be reached, or does not answer in time."""


class Api:
    """A client for one cluster. Used from one event loop; `close` it there. `login` is asked for when first needed."""

    def __init__(self, login: Callable[[], Awaitable[Access]]) -> None:
        self._login = login
        self._connecting = asyncio.Lock()
        self._connected: tuple[aiohttp.ClientSession, Access] | None = None
        self._sockets = Sockets()

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Object | None:
        """What is at a path; None where nothing is."""
        try:
            return await self.request("GET", path, query)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def create(self, path: str, thing: Object, *, dry_run: bool = False) -> Object:
        """Raises `ApiError` with status 409 where there is one of that name."""
        query = {"fieldManager": MANAGER}
        if dry_run:
            query["dryRun"] = "All"
        return await self.request("POST", path, query, thing)

    async def delete(self, path: str, *, uid: str | None = None, grace: int | None = None) -> bool:
        """Whether there was something to delete. With `uid`, only that very object."""
        options: Object = {"propagationPolicy": "Background"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        try:
            await self.request("DELETE", path, None, options)
        except ApiError as error:
            if error.status == 404 or (error.status == 409 and uid is not None):
                return False
            raise
        return True

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        *,
        patience: float = _PATIENCE,
    ) -> Object:
        """One request, tried again while the server is busy or away. Raises `ApiError` and `ApiAway`."""
        end = time.monotonic() + patience
        data = None if body is None else msgspec.json.encode(body)
        sent = {"params": dict(query or {}), "data": data}
        headers = {} if data is None else {"content-type": MERGE if method == "PATCH" else "application/json"}

        async def once() -> Object:
            try:
                async with self._open(method, path, {**sent, "headers": headers}) as answer:
                    text = await answer.read()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise _away(error) from error
            return msgspec.json.decode(text, type=dict[str, Any])

        return await retrying(once, _BACKOFF, _again, left=lambda: end - time.monotonic())

    @asynccontextmanager
    async def lines(
        self, path: str, query: Mapping[str, str], *, silence: float | None
    ) -> AsyncGenerator[AsyncGenerator[bytes]]:
        """An answer that goes on, line by line. `silence` seconds without anything end it: `ApiAway`."""
        timeout = aiohttp.ClientTimeout(total=None, connect=5, sock_read=silence)
        try:
            async with self._open("GET", path, {"params": dict(query), "timeout": timeout}) as answer:
                each = _split(answer)
                try:
                    yield each
                finally:
                    await each.aclose()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _away(error) from error

    async def websocket(self, path: str, query: list[tuple[str, str]]) -> aiohttp.ClientWebSocketResponse:
        """A stream into a container. Raises `ApiError` and `ApiAway`."""
        session, access = await self._connect()
        url = access.server.replace("http", "ws", 1) + path
        try:
            return await session.ws_connect(
                url,
                protocols=PROTOCOLS,
                params=query,
                headers=access.headers(),
                heartbeat=_HEARTBEAT,
                max_msg_size=_MAX_FRAME,
                autoclose=False,
            )
        except aiohttp.WSServerHandshakeError as error:
            if error.status == 401:
                access.refused()
            raise ApiError(error.status, "", f"no stream into the container: {error.message or error.status}") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _away(error) from error

    async def close(self) -> None:
        if self._connected is not None:
            session, self._connected = self._connected[0], None
            await session.close()
            await self._sockets.closed()

    @asynccontextmanager
    async def _open(self, method: str, path: str, options: dict[str, Any]) -> AsyncGenerator[aiohttp.ClientResponse]:
        session, access = await self._connect()
        headers = {**options.pop("headers", {}), **access.headers()}
        async with session.request(method, f"{access.server}{path}", headers=headers, **options) as answer:
            if answer.status == 401:
                access.refused()
            if answer.status >= 400:
                raise _refusal(answer.status, await answer.read(), answer.headers.get("retry-after", ""))
            yield answer

    async def _connect(self) -> tuple[aiohttp.ClientSession, Access]:
        async with self._connecting:
            if self._connected is None:
                try:
                    access = await self._login()
                except NoAccess as error:
                    raise ApiAway(str(error)) from None
                connector = aiohttp.TCPConnector(ssl=access.tls or True, limit=0, socket_factory=self._sockets.make)
                self._connected = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT), access
            return self._connected


async def _split(answer: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    """Lines of any length."""
    pieces: list[bytes] = []
    async for data in answer.content.iter_any():
        first, newline, rest = data.partition(b"\n")
        pieces.append(first)
        if newline:
            yield b"".join(pieces)
            *whole, last = rest.split(b"\n")
            for line in whole:
                yield line
            pieces = [last]
    if last := b"".join(pieces):
        yield last


def _again(error: Exception) -> float | None:
    if isinstance(error, ApiAway):
        return 0.0
    if isinstance(error, ApiError):
        if error.status in _AGAIN:
            return error.after
        return 0.0 if error.status == 401 else None
    return None


def _away(error: Exception) -> ApiAway:
    return ApiAway(f"the Kubernetes API cannot be reached: {error or type(error).__name__}")


def _refusal(status: int, text: bytes, after: str) -> ApiError:
    try:
        told = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        told = {}
    message = str(told.get("message") or text[:500].decode(errors="replace") or f"HTTP {status}")
    return ApiError(status, str(told.get("reason") or ""), message, float(after) if after.isdigit() else 0.0)


async def pause(failed: int) -> None:
    """Between two attempts to follow something."""
    await asyncio.sleep(Backoff(base=0.2, most=10.0).wait(failed) + 0.05)

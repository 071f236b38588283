"""The Kubernetes API as far as pods need it: beside single requests, streams of lines and WebSockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Final

import aiohttp

from app.kubernetes import ApiError, Object
from app.kubernetes.client import Client, Login, away
from app.resilience import Backoff

PROTOCOLS: Final = ("v5.channel.k8s.io", "v4.channel.k8s.io")

_HEARTBEAT: Final = 20.0
_MAX_FRAME: Final = 64 << 20


def inside(thing: Object, part: str) -> Object:
    """A part of an object that is an object itself; empty where it has none."""
    return thing.get(part) or {}


class Api(Client):
    """A client for one cluster. Used from one event loop; `close` it there."""

    def __init__(self, login: Login) -> None:
        super().__init__(login, manager="slipway-gateway")

    @asynccontextmanager
    async def lines(
        self, path: str, query: Mapping[str, str], *, silence: float | None
    ) -> AsyncGenerator[AsyncGenerator[bytes]]:
        """An answer that goes on, line by line. `silence` seconds without anything end it: `ApiAway`."""
        timeout = aiohttp.ClientTimeout(total=None, connect=5, sock_read=silence)
        try:
            async with self._open("GET", path, {}, params=query, timeout=timeout) as answer:
                each = _split(answer)
                try:
                    yield each
                finally:
                    await each.aclose()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise away(error) from error

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
                self._doubt()
            raise ApiError(error.status, "", f"no stream into the container: {error.message or error.status}") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise away(error) from error


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


async def pause(failed: int) -> None:
    """Between two attempts to follow something."""
    await asyncio.sleep(Backoff(base=0.2, most=10.0).wait(failed) + 0.05)

"""Clients outside the cluster: they know a public name, trust one authority, and call without a pause."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import httpx

from app.client import Client, ClientError, RemoteError, revision_named

PLACE = {"latitude": 52.5, "longitude": 13.4}


class ToolFailed(Exception):
    """A tool's own word that it could not do it."""


TROUBLE = (ClientError, RemoteError, ToolFailed, httpx.HTTPError, OSError)
_OLD = revision_named("old")
Answer = TypeVar("Answer")


@asynccontextmanager
async def old_session(url: str, timeout: float = 60) -> AsyncIterator[Client]:
    """A session of the era that has them."""
    async with Client(url, revision=_OLD, timeout=timeout) as client:
        yield client


def content(result: dict[str, Any]) -> dict[str, Any]:
    """What a tool answered, as data."""
    if result.get("isError"):
        raise ToolFailed(result["content"][0]["text"])
    return result["structuredContent"] if "structuredContent" in result else json.loads(result["content"][0]["text"])


async def mark(client: Client) -> None:
    """Put a marker on a session's map."""
    content(await client.call_tool("add_marker", PLACE))


async def markers(client: Client) -> int:
    """How many a session's map has."""
    return len(content(await client.call_tool("get_state", {}))["markers"])


async def patiently(call: Callable[[], Awaitable[Answer]], seconds: float = 90) -> Answer:
    """What a call answers, once it does and as asserted: while a store is away, servers ask to come again."""
    end = time.monotonic() + seconds
    while True:
        try:
            return await call()
        except (*TROUBLE, AssertionError):
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.5)


class Load:
    """Sessions that call again and again, and what became of each call."""

    def __init__(self, url: str, sessions: int = 6, pause: float = 0.1) -> None:
        self.answered = 0
        self.failures: Counter[str] = Counter()
        self._url = url
        self._sessions = sessions
        self._pause = pause
        self._over = asyncio.Event()

    async def during(self, work: Callable[[], None]) -> None:
        """Call while `work` is done in a thread, and a little longer."""
        callers = [asyncio.create_task(self._call()) for _ in range(self._sessions)]
        try:
            await asyncio.to_thread(work)
            await asyncio.sleep(1)
        finally:
            self._over.set()
            await asyncio.gather(*callers)

    async def _call(self) -> None:
        async with old_session(self._url) as client:
            await mark(client)
            while not self._over.is_set():
                try:
                    if await markers(client) != 1:
                        self.failures["the session's map is another"] += 1
                    self.answered += 1
                except TROUBLE as problem:
                    self.failures[f"{time.strftime('%X')} {type(problem).__name__}: {problem}"] += 1
                await asyncio.sleep(self._pause)

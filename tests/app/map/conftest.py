"""Clients of maps over HTTP: tool calls, and the stream of changes as a browser reads it."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, NamedTuple

import httpx
import pytest


class Event(NamedTuple):
    """One server-sent event."""

    name: str
    id: str
    data: Any


class MapStream:
    """The events of one stream, one after the other."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()
        self.comments = 0

    async def next(self) -> Event | None:
        """The next event; None at the stream's end."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(15):
            async for line in self._lines:
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "data" in fields:
                    return Event(fields["event"], fields["id"], json.loads(fields["data"]))
        return None

    async def until(self, version: int) -> list[Event]:
        """The events up to the one that brings the map to a version."""
        events: list[Event] = []
        while not events or events[-1].data["version"] < version:
            event = await self.next()
            assert event is not None
            events.append(event)
        return events


class MapClient:
    """Calls tools, and watches."""

    def __init__(self, http: httpx.AsyncClient, stack: AsyncExitStack, session: str) -> None:
        self.http = http
        self.session = session
        self._stack = stack

    async def call(self, url: str, tool: str, /, **arguments: Any) -> Any:
        arguments = {"map_session": self.session, **arguments}
        request = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": tool, "arguments": arguments},
        }
        answer = (await self.http.post(f"{url}/messages", json=request)).json()
        assert not answer["result"].get("isError"), answer
        return answer["result"]["structuredContent"]

    async def watch(self, url: str, last: str | None = None) -> MapStream:
        headers = {} if last is None else {"last-event-id": last}
        query = {"session_id": self.session}
        stream = self.http.stream("GET", f"{url}/events", params=query, headers=headers)
        return MapStream(await self._stack.enter_async_context(stream))


@pytest.fixture
async def client() -> AsyncIterator[MapClient]:
    """A client with a map of its own."""
    limits = httpx.Limits(max_connections=250)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=30, limits=limits))
        yield MapClient(http, stack, f"map-{secrets.token_hex(6)}")


Apply = Callable[[dict[str, Any], Event], dict[str, Any]]


@pytest.fixture
def applied() -> Apply:
    """What a map is after an event, as a page works it out."""

    def apply(state: dict[str, Any], event: Event) -> dict[str, Any]:
        if event.name == "state":
            return event.data
        state = json.loads(json.dumps(state)) | {"version": event.data["version"]}
        for kind in ("markers", "layers"):
            if kind in event.data.get("cleared", ()):
                state[kind] = {}
            for name, values in event.data.get(kind, {}).items():
                if values is None:
                    state[kind].pop(name, None)
                else:
                    state[kind][name] = {**state[kind].get(name, {}), **values}
        return state

    return apply


@pytest.fixture
async def server(serve: Callable[..., Awaitable[Any]]) -> Any:
    """The application with maps in memory, in this process."""
    return await serve(MCP_TOOLSETS="map")

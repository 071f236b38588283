"""Servers whose side the test plays, clients that remember what they were told, and a look at what is left."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from hygiene import Baseline
from hygiene import until as wait_until

from app.gateway.launcher import Endpoint
from app.gateway.processes import ProcessLauncher, ProcessOptions
from app.gateway.spec import LaunchSpec
from app.gateway.upstream import News, Upstream
from app.gateway.upstreams import UpstreamOptions, open_upstream
from app.protocol.calls import ClientRefused
from app.resilience.retry import Backoff

PATIENCE = 20
QUICK = Backoff(attempts=3, base=0.01, most=0.05)
"""Does not make a test wait."""
EVERYTHING = {"tools": {"listChanged": True}, "resources": {"subscribe": True}, "prompts": {}, "logging": {}}


def raw(value: object) -> Raw:
    return Raw(msgspec.json.encode(value))


def options(**changes: Any) -> UpstreamOptions:
    return UpstreamOptions(**{"timeout": PATIENCE, "backoff": QUICK, "reconnect": QUICK, **changes})


class MemoryLines:
    """Standard streams without a process."""

    def __init__(self) -> None:
        self.written: asyncio.Queue[bytes] = asyncio.Queue()
        self.ended = False
        self.blocked: asyncio.Event | None = None
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def send(self, line: bytes) -> None:
        if self.ended:
            raise EOFError
        if self.blocked is not None:
            await self.blocked.wait()
        self.written.put_nowait(line)

    def put(self, line: bytes | None) -> None:
        self.ended = self.ended or line is None
        self._lines.put_nowait(line)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (line := await self._lines.get()) is not None:
            yield line

    async def close(self) -> None:
        self.put(None)


class Peer:
    """The server's side of one stream: the test says what it does."""

    def __init__(self) -> None:
        self.lines = MemoryLines()

    async def receive(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(PATIENCE):
            line = await self.lines.written.get()
        assert b"\n" not in line
        return json.loads(line)

    @property
    def quiet(self) -> bool:
        """Whether nothing came."""
        return self.lines.written.empty()

    def say(self, **message: Any) -> None:
        self.raw(json.dumps({"jsonrpc": "2.0", **message}).encode())

    def raw(self, line: bytes) -> None:
        self.lines.put(line)

    def answer(self, request: Mapping[str, Any], result: object = None, **more: Any) -> None:
        self.say(id=request["id"], result={} if result is None else result, **more)

    def refuse(self, request: Mapping[str, Any], code: int = -32601, message: str = "Method not found") -> None:
        self.say(id=request["id"], error={"code": code, "message": message})

    def end(self) -> None:
        self.lines.put(None)

    async def greet(self, revision: str = "2025-11-25", capabilities: object = None) -> dict[str, Any]:
        """Be a server of the older era; what it is initialized with."""
        probe = await self.receive()
        if probe["method"] == "server/discover":
            self.refuse(probe)
            probe = await self.receive()
        assert probe["method"] == "initialize"
        hello = {"protocolVersion": revision, "capabilities": EVERYTHING if capabilities is None else capabilities}
        self.answer(probe, {**hello, "serverInfo": {"name": "peer", "version": "1"}})
        assert (await self.receive())["method"] == "notifications/initialized"
        return probe

    async def introduce(self, capabilities: object = None) -> dict[str, Any]:
        """Be a server of the newer era; what it is asked with."""
        probe = await self.receive()
        assert probe["method"] == "server/discover"
        self.answer(
            probe,
            {
                "resultType": "complete",
                "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {}} if capabilities is None else capabilities,
                "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "peer", "version": "2"}},
            },
        )
        return probe


class Peers:
    """A `StdioEndpoint`; each opening is another peer."""

    def __init__(self) -> None:
        self.opened: list[Peer] = []
        self.failing: Exception | None = None
        self._waiting: asyncio.Queue[Peer] = asyncio.Queue()

    async def open(self) -> MemoryLines:
        if self.failing is not None:
            raise self.failing
        peer = Peer()
        self.opened.append(peer)
        self._waiting.put_nowait(peer)
        return peer.lines

    async def next(self) -> Peer:
        async with asyncio.timeout(PATIENCE):
            return await self._waiting.get()


@dataclass
class Client:
    """A `Downstream`."""

    stateless: bool = False
    capabilities: Mapping[str, Any] = field(default_factory=lambda: {"sampling": {}, "elicitation": {}, "roots": {}})
    progress_token: str | int | None = None
    log_level: str | None = None
    told: list[tuple[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    answers: dict[str, Any] = field(default_factory=dict)

    async def notify(self, method: str, params: Raw) -> None:
        self.told.append((method, json.loads(bytes(params))))

    async def ask(self, method: str, params: Raw) -> Raw:
        self.asked.append((method, json.loads(bytes(params))))
        answer = self.answers.get(method, {})
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            answer = {}
        return raw(answer)


class Heard:
    """What an upstream told, and a way to wait for it."""

    def __init__(self, upstream: Upstream) -> None:
        self.news: list[News] = []
        self._changed = asyncio.Event()
        self.leave = upstream.follow(self._take)

    def _take(self, news: News) -> None:
        self.news.append(news)
        self._changed.set()

    @property
    def methods(self) -> list[str]:
        return [news.method for news in self.news]

    async def hear(self, method: str, times: int = 1) -> News:
        """Wait until it was told so often."""
        async with asyncio.timeout(PATIENCE):
            while self.methods.count(method) < times:
                self._changed.clear()
                await self._changed.wait()
        return [news for news in self.news if news.method == method][-1]


Open = Callable[..., Upstream]


@pytest.fixture
async def make() -> AsyncIterator[Open]:
    """Makes upstreams that are closed when the test ends, and then leave nothing behind."""
    before = asyncio.all_tasks()
    made: list[Upstream] = []

    def one(endpoint: Endpoint, **changes: Any) -> Upstream:
        made.append(open_upstream("peer", endpoint, options(**changes)))
        return made[-1]

    yield one
    async with asyncio.timeout(PATIENCE):
        for upstream in made:
            await upstream.close()
    for _ in range(5):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not [task for task in left if not task.get_name().startswith("test ")], left


Connect = Callable[..., Awaitable[tuple[Upstream, Peer]]]


@pytest.fixture
def peers() -> Peers:
    return Peers()


@pytest.fixture
def connect(make: Open, peers: Peers) -> Connect:
    """An open upstream, and the server that it speaks to."""

    async def connected(
        *, stateless: bool = False, capabilities: object = None, revision: str = "2025-11-25", **changes: Any
    ) -> tuple[Upstream, Peer]:
        upstream = make(peers, **changes)
        opening = asyncio.create_task(upstream.open(), name="test opens")
        peer = await peers.next()
        if stateless:
            await peer.introduce(capabilities)
        else:
            await peer.greet(revision, capabilities)
        await opening
        return upstream, peer

    return connected


@pytest.fixture
def call() -> Callable[..., asyncio.Task[Any]]:
    """Begins a request whose result is decoded."""

    def begin(upstream: Upstream, method: str, params: object = None, **more: Any) -> asyncio.Task[Any]:
        async def run() -> Any:
            return json.loads(bytes(await upstream.request(method, raw(params or {}), **more)))

        return asyncio.create_task(run(), name="test calls")

    return begin


@pytest.fixture
def until() -> Callable[..., Awaitable[None]]:
    """Waits for something that no event tells."""
    return wait_until


@pytest.fixture
def client() -> type[Client]:
    return Client


@pytest.fixture
def heard() -> type[Heard]:
    return Heard


@pytest.fixture
def refused() -> type[ClientRefused]:
    return ClientRefused


@dataclass
class Yard:
    """Runs real servers as children of ours."""

    launcher: ProcessLauncher
    used: bool = False

    async def start(self, *command: str, **environment: str) -> Endpoint:
        """A server that speaks over its standard streams."""
        self.used = True
        spec = LaunchSpec(id="real", type="npx", transport="stdio", command=command, environment=environment)
        launched = await self.launcher.start(spec)
        assert launched.endpoint is not None
        return launched.endpoint


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    """No process, descriptor or directory is left of what it started."""
    folder = tmp_path / "private"
    folder.mkdir()
    before = Baseline.take(folder)
    launcher = ProcessLauncher(dict(os.environ), ProcessOptions(folder=folder))
    yard = Yard(launcher)
    yield yard
    async with asyncio.timeout(PATIENCE):
        await launcher.close()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    if yard.used:  # else the upstreams of the test, which are closed after this, have sockets of their own
        before.check()

"""A launcher, servers and a registry that do what a test says; the catalogue is the real one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from app.gateway.catalogue.catalogue import Catalogue
from app.gateway.launcher import Launched, LaunchError, UrlEndpoint
from app.gateway.manager.manager import Manager
from app.gateway.manager.parts import ManagerLimits
from app.gateway.resolving import ResolveError
from app.gateway.spec import LaunchSpec, Pin, ServerSpec
from app.gateway.upstream import CONNECTED, LOST, About, News, UpstreamUnavailable

QUICK = ManagerLimits(retry_first=0.01, retry_most=0.05, recover_seconds=0.2, start_seconds=5)


class FakeLauncher:
    """Runs everything at once, but for what `held` and `failing` name. `running` is what an outsider would see."""

    def __init__(self) -> None:
        self.running: dict[str, LaunchSpec] = {}
        self.started: list[str] = []
        self.stopped: list[str] = []
        self.held: set[str] = set()
        self.failing: dict[str, str] = {}
        self.words: dict[str, list[str]] = {}
        self.left: list[Launched] = []
        self._events: asyncio.Queue[Launched] = asyncio.Queue()
        self.most_at_once = 0

    def endpoint(self, instance: str) -> UrlEndpoint:
        return UrlEndpoint(f"http://{instance}/{self.started.count(instance)}")

    def say(self, instance: str, state: Any, reason: str = "") -> None:
        spec = self.running[instance]
        endpoint = self.endpoint(instance) if state == "running" else None
        self._events.put_nowait(Launched(instance, state, spec.digest(), endpoint, reason=reason))

    async def start(self, spec: LaunchSpec) -> Launched:
        if self.running.get(spec.id) == spec:
            return Launched(spec.id, "running", spec.digest(), self.endpoint(spec.id))
        if spec.id in self.running:
            raise LaunchError(f"{spec.id} runs already")
        self.running[spec.id] = spec
        self.started.append(spec.id)
        starting = sum(1 for name in self.running if name in self.held)
        self.most_at_once = max(self.most_at_once, starting)
        if spec.id in self.failing:
            self.say(spec.id, "failed", self.failing[spec.id])
        elif spec.id not in self.held:
            self.say(spec.id, "running")
        return Launched(spec.id, "starting", spec.digest(), None)

    async def stop(self, server_id: str) -> None:
        self.stopped.append(server_id)
        if self.running.get(server_id):
            self.say(server_id, "stopped")
            del self.running[server_id]

    async def adopt(self) -> list[Launched]:
        return self.left

    async def watch(self) -> AsyncIterator[Launched]:
        while True:
            yield await self._events.get()

    async def logs(self, server_id: str, *, lines: int = 100, follow: bool = False) -> AsyncIterator[str]:
        for line in self.words.get(server_id, [])[-lines:]:
            yield line

    async def check(self) -> None:
        return

    async def close(self) -> None:
        return


class FakeUpstream:
    """One server; `tools` are the names of its tools."""

    def __init__(self, url: str, tools: list[str]) -> None:
        self.url = url
        self.tools = tools
        self.about: About | None = None
        self.available = False
        self.closed = False
        self.refusal = ""
        self.silent = False
        self._listeners: list[Callable[[News], None]] = []

    async def open(self) -> None:
        if self.silent:
            await asyncio.Event().wait()
        if self.refusal:
            raise UpstreamUnavailable(self.refusal)
        self.about = About("2025-11-25", self.url, "1")
        self.available = True

    async def request(self, method: str, params: msgspec.Raw, **_: Any) -> msgspec.Raw:
        return msgspec.Raw(b"{}")

    async def list(self, name: str) -> list[msgspec.Raw]:
        if self.refusal:
            raise UpstreamUnavailable(self.refusal)
        named = self.tools if name == "tools" else []
        return [msgspec.Raw(msgspec.json.encode({"name": tool, "inputSchema": {"type": "object"}})) for tool in named]

    def follow(self, listener: Callable[[News], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def tell(self, method: str) -> None:
        for listener in tuple(self._listeners):
            listener(News(method))

    def lose(self) -> None:
        self.available = False
        self.tell(LOST)

    def find(self) -> None:
        self.available = True
        self.tell(CONNECTED)

    async def close(self) -> None:
        self.closed = True


class FakeResolver:
    """Resolves a package to version 1 of it; `refused` says why it does not."""

    def __init__(self) -> None:
        self.refused: dict[str, str] = {}
        self.away: str = ""
        self.asked: list[str] = []
        self.version = "1"

    async def resolve(self, name: str, spec: ServerSpec) -> LaunchSpec:
        self.asked.append(name)
        if self.away:
            raise ConnectionError(self.away)
        if name in self.refused:
            raise ResolveError([(f"servers.{name}.package", self.refused[name])])
        if spec.url:
            return LaunchSpec(id=name, type="remote", transport="http", url=spec.url)
        package = spec.package or name
        return LaunchSpec(
            id=name,
            type="npx",
            transport="stdio",
            command=("npx", package, *spec.args),
            environment=spec.environment,
            port=spec.port,
            pin=Pin(ecosystem="npm", name=package, version=spec.version or self.version),
        )


class Yard:
    """Everything that a manager works with, and the upstreams that were opened, the latest last."""

    def __init__(self) -> None:
        self.launcher = FakeLauncher()
        self.resolver = FakeResolver()
        self.catalogue = Catalogue()
        self.upstreams: dict[str, list[FakeUpstream]] = {}
        self.tools: dict[str, list[str]] = {}
        self.refusals: dict[str, str] = {}
        self.silent: set[str] = set()
        self._managers: list[Manager] = []

    def open_upstream(self, server_id: str, endpoint: Any) -> FakeUpstream:
        upstream = FakeUpstream(endpoint.url, self.tools.get(server_id, ["add", "subtract"]))
        upstream.refusal = self.refusals.get(server_id, "")
        upstream.silent = server_id in self.silent
        self.upstreams.setdefault(server_id, []).append(upstream)
        return upstream

    async def manager(self, **options: Any) -> Manager:
        options = {"limits": QUICK, **options}
        manager = Manager(self.launcher, self.resolver, self.catalogue, self.open_upstream, **options)
        await manager.open()
        self._managers.append(manager)
        return manager

    async def close(self) -> None:
        for manager in self._managers:
            await manager.close()
        await self.catalogue.close()


@asynccontextmanager
async def make_yard() -> AsyncIterator[Yard]:
    """Managers made of it are closed at the end, and leave no task behind."""
    before = asyncio.all_tasks()
    made = Yard()
    yield made
    await made.close()
    await asyncio.sleep(0)
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, f"left running: {left}"


@pytest.fixture
def until() -> Callable[..., Any]:
    """Waits for something to become true."""

    async def wait(true: Callable[[], bool], seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while not true():  # noqa: ASYNC110 (whatever is asked for)
                await asyncio.sleep(0.005)

    return wait

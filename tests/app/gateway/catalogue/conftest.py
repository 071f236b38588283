"""A catalogue without transports: servers that answer as they are told, and clients that ask its views."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from app.gateway.catalogue.catalogue import Catalogue
from app.gateway.upstream import About, Downstream, News, UpstreamUnavailable
from app.protocol.calls import ANONYMOUS, Call, ClientRefused
from app.protocol.content import Implementation
from app.protocol.dispatcher import Dispatcher
from app.protocol.revisions import REVISIONS
from app.protocol.sealing import StateSealer
from app.sessions.store import Session

META = "io.modelcontextprotocol/"
Answer = Callable[[dict[str, Any], Downstream | None], Awaitable[Any]]


def raw(value: object) -> Raw:
    return Raw(msgspec.json.encode(value))


def tool(name: str, **members: Any) -> dict[str, Any]:
    return {"name": name, "inputSchema": {"type": "object"}, **members}


class ScriptedServer:
    """An `Upstream` that answers from a table, and remembers what it was asked."""

    def __init__(self, *, revision: str = "2025-11-25", instructions: str = "", **lists: list[Any]) -> None:
        self.about: About | None = About(revision, "scripted", "1", {}, instructions)
        self.available = True
        self.lists: dict[str, list[Any]] = {"tools": [], "prompts": [], "resources": [], "templates": [], **lists}
        self.list_errors: dict[str, Exception] = {}
        self.listed: list[str] = []
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.cancelled = 0
        self.answers: dict[str, Answer] = {}
        self.listeners: list[Callable[[News], None]] = []
        self.before_list: Callable[[], Awaitable[None]] | None = None

    def answer(self, method: str, result: Any) -> None:
        """Answer a method with a value, or with what a function of the parameters and the client returns."""

        async def constant(_: dict[str, Any], __: Downstream | None) -> Any:
            if isinstance(result, Exception):
                raise result
            return result

        self.answers[method] = result if callable(result) and not isinstance(result, Exception) else constant

    async def open(self) -> None:
        return

    async def request(
        self,
        method: str,
        params: Raw,
        *,
        downstream: Downstream | None = None,
        timeout: float | None = None,
        repeatable: bool = False,
    ) -> Raw:
        decoded = json.loads(bytes(params))
        self.asked.append((method, decoded))
        self.repeatable = repeatable
        if not self.available:
            raise UpstreamUnavailable("it exited with status 1", unsent=True)
        try:
            found = await self.answers[method](decoded, downstream)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return found if isinstance(found, Raw) else raw(found)

    async def list(self, name: str) -> list[Raw]:
        self.listed.append(name)
        if self.before_list is not None:
            await self.before_list()
        if name in self.list_errors:
            raise self.list_errors[name]
        return [raw(item) for item in self.lists[name]]

    def follow(self, listener: Callable[[News], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)

    def tell(self, method: str, params: Any = None) -> None:
        for listener in tuple(self.listeners):
            listener(News(method, None if params is None else raw(params)))

    async def close(self) -> None:
        return


class Ear:
    """The way back to a client: it remembers what it is told, and answers what it is asked."""

    def __init__(self, *answers: Any) -> None:
        self.told: list[tuple[str, Any]] = []
        self.asked: list[tuple[str, Any]] = []
        self.answers = list(answers)

    async def notify(self, method: str, params: object) -> None:
        self.told.append((method, json.loads(msgspec.json.encode(params))))

    async def request(self, method: str, params: object, *, timeout: float | None = None) -> Raw:
        self.asked.append((method, json.loads(msgspec.json.encode(params))))
        answer = self.answers.pop(0)
        if isinstance(answer, ClientRefused):
            raise answer
        return raw(answer)


class Asker:
    """Asks one view of a catalogue, in any revision."""

    def __init__(self, view: Any, sealer: StateSealer | None = None) -> None:
        self.dispatcher = Dispatcher(view, Implementation(name="gateway", version="1"), sealer=sealer)

    async def ask(
        self,
        method: str,
        params: Any = None,
        *,
        revision: str = "2025-11-25",
        capabilities: Any = None,
        ear: Ear | None = None,
        meta: Any = None,
        log_level: str | None = None,
    ) -> Any:
        found = REVISIONS[revision]
        params = dict(params or {})
        session = None
        sent_meta = dict(meta or {})
        if found.stateless:
            sent_meta |= {META + "protocolVersion": revision, META + "clientCapabilities": capabilities or {}}
        else:
            session = Session(
                id="s1", revision=revision, client_info={}, client_capabilities=capabilities or {}, initialized=True
            )
            session.log_level = log_level
        if sent_meta:
            params["_meta"] = sent_meta
        call = Call(
            id=1,
            method=method,
            params=raw(params),
            revision=found,
            session=session,
            caller=ANONYMOUS,
            channel=ear or Ear(),
        )
        return json.loads(await self.dispatcher.answer(call))

    async def result(self, method: str, params: Any = None, **options: Any) -> Any:
        answer = await self.ask(method, params, **options)
        assert "result" in answer, answer
        return answer["result"]

    async def error(self, method: str, params: Any = None, **options: Any) -> Any:
        answer = await self.ask(method, params, **options)
        assert "error" in answer, answer
        return answer["error"]

    async def names(self, kind: str = "tools", **options: Any) -> list[str]:
        listed = await self.result(f"{kind}/list", **options)
        return [item["name"] for item in listed[kind]]


@pytest.fixture
def scripted() -> type[ScriptedServer]:
    return ScriptedServer


@pytest.fixture
def ear() -> type[Ear]:
    return Ear


@pytest.fixture
def asker() -> type[Asker]:
    return Asker


@pytest.fixture
async def catalogue():
    """An empty catalogue, and no task left of it."""
    made = Catalogue(call_seconds=5)
    yield made
    await made.close()


@pytest.fixture
def turn() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Lets the event loop turn until a condition holds."""

    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 (there is nothing to wait for)
                await asyncio.sleep(0.005)

    return until

"""A server that speaks as much of the Kubernetes API as a test tells it to."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from app.gateway.pods.api import Api
from app.kubernetes.access import Access

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class FakeCluster:
    """Answers each request with the next of `answers`; the last one again and again."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    asked: list[web.Request] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        chosen = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return await chosen(request)

    def api(self, token_file: Path | None = None) -> Api:
        def access() -> Access:
            return Access(server=self.url, token=token_file.read_text() if token_file else "")

        return Api(lambda: asyncio.to_thread(access))


def status(code: int, reason: str = "", message: str = "no", **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        told = {"kind": "Status", "reason": reason, "message": message}
        return web.json_response(told, status=code, headers=headers)

    return answer


def listed(version: str, *pods: dict[str, Any]) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"metadata": {"resourceVersion": version}, "items": list(pods)})

    return answer


def watched(*events: dict[str, Any], stay: bool = False) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for event in events:
            await response.write(json.dumps(event).encode() + b"\n")
        if stay:
            await asyncio.Event().wait()
        return response

    return answer


def pod(name: str, version: str = "1") -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": version}}


@pytest.fixture
async def cluster() -> AsyncIterator[FakeCluster]:
    made = FakeCluster()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    async with asyncio.timeout(30):
        yield made
    await runner.cleanup()


@pytest.fixture
def say() -> Any:
    """What the fake cluster can be told to answer."""

    class Say:
        pass

    for each in (status, listed, watched, pod):
        setattr(Say, each.__name__, staticmethod(each))
    return Say

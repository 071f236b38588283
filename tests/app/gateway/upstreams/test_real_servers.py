"""Servers of our own and of others, over every transport and in both eras."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from real_servers import npm_server, pypi_server

from app.gateway.launcher import UrlEndpoint
from app.gateway.upstream import CONNECTED, LOST, UpstreamFailure

OFFICIAL = str(Path(__file__).parents[1] / "support" / "official_server.py")
SLIPWAY = str(Path(sys.executable).with_name("slipway"))


def names(items: Any) -> set[str]:
    return {json.loads(bytes(item))["name"] for item in items}


def text(result: Any) -> str:
    return result["content"][0]["text"]


WAYS = [
    ("stdio", None),
    ("http", None),
    ("http", "handshake"),
    ("websocket", None),
    ("websocket", "handshake"),
    ("sse", None),
]
WAY_NAMES = ["stdio", "http, new", "http, old", "websocket, new", "websocket, old", "sse"]


@pytest.fixture(params=[*WAYS, ("stdio", "handshake")], ids=[*WAY_NAMES, "stdio, old"])
def slipway(request, make, yard, serve):
    """An open upstream at our own server."""
    transport, era = request.param

    async def opened(**changes):
        if transport == "stdio":
            environment = {"MCP_TOOLSETS": "platform,conformance", "MCP_TRANSPORT": "stdio"}
            endpoint = await yard.start(SLIPWAY, "serve", **environment)
        else:
            served = await serve()
            path = {"http": "/mcp", "websocket": "/mcp", "sse": "/sse"}[transport]
            scheme = "ws" if transport == "websocket" else "http"
            endpoint = UrlEndpoint(f"{scheme}://127.0.0.1:{served.port}{path}", transport)
        upstream = make(endpoint, era=era, **changes)
        await upstream.open()
        stateless = era is None and transport != "sse"
        assert (upstream.about.revision == "2026-07-28") is stateless
        return upstream

    return opened


async def test_our_own_server_is_listed_and_called(slipway, call):
    upstream = await slipway()
    assert upstream.about.name == "slipway"
    assert {"echo", "test_simple_text"} <= names(await upstream.list("tools"))
    assert await upstream.list("prompts")
    assert await upstream.list("resources")
    assert await upstream.list("templates")
    assert (
        text(await call(upstream, "tools/call", {"name": "echo", "arguments": {"text": "grüß\ngott"}})) == "grüß\ngott"
    )
    assert await call(upstream, "ping") == {}
    with pytest.raises(UpstreamFailure):
        await call(upstream, "tools/call", {"name": "no such tool"})
    contents = await call(upstream, "resources/read", {"uri": "test://static-text"})
    assert contents["contents"][0]["uri"] == "test://static-text"


async def test_our_own_server_answers_many_calls_at_once(slipway, call):
    upstream = await slipway()
    calls = [call(upstream, "tools/call", {"name": "echo", "arguments": {"text": str(n)}}) for n in range(200)]
    assert [text(await one) for one in calls] == [str(n) for n in range(200)]


async def test_our_own_server_tells_its_progress(slipway, call, client):
    upstream = await slipway()
    who = client(progress_token="mine")
    result = await call(upstream, "tools/call", {"name": "test_tool_with_progress"}, downstream=who)
    assert result["content"]
    told = [params for method, params in who.told if method == "notifications/progress"]
    assert [params["progress"] for params in told] == [0, 50, 100]
    assert {params["progressToken"] for params in told} == {"mine"}


async def test_our_own_server_asks_the_client(slipway, call, client):
    upstream = await slipway()
    answers = {
        "elicitation/create": {"action": "accept", "content": {"username": "ada", "email": "a@b.example"}},
        "sampling/createMessage": {
            "role": "assistant",
            "model": "m",
            "content": {"type": "text", "text": "forty-two"},
        },
    }
    who = client(answers=answers)
    asked = {"name": "test_elicitation", "arguments": {"message": "Who?"}}
    assert "ada" in text(await call(upstream, "tools/call", asked, downstream=who))
    asked = {"name": "test_sampling", "arguments": {"prompt": "What?"}}
    assert "forty-two" in text(await call(upstream, "tools/call", asked, downstream=who))
    assert [method for method, _ in who.asked] == ["elicitation/create", "sampling/createMessage"]


async def test_our_own_server_is_told_that_a_call_is_cancelled(slipway, call):
    upstream = await slipway(max_running=1)
    calling = call(upstream, "tools/call", {"name": "wait", "arguments": {"seconds": 60}}, timeout=0.2)
    with pytest.raises(TimeoutError):
        await calling
    assert text(await call(upstream, "tools/call", {"name": "echo", "arguments": {"text": "on"}})) == "on"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
async def listening(tmp_path):
    """Runs a command that listens; its processes are gone when the test ends."""
    running: list[asyncio.subprocess.Process] = []

    async def start(port: int, *command: str, **environment: str) -> asyncio.subprocess.Process:
        with (tmp_path / f"listening-{len(running)}.log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *command, env={**os.environ, **environment}, stdout=log, stderr=log
            )
        running.append(process)
        async with asyncio.timeout(30):
            while True:
                assert process.returncode is None, (tmp_path / f"listening-{len(running) - 1}.log").read_text()
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    return process

    yield start
    for process in running:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
def official(make, yard, listening):
    """An open upstream at a server of the official package's."""

    async def opened(transport: str, era: Any = None, **changes: Any) -> Any:
        if transport == "stdio":
            endpoint: Any = await yard.start(sys.executable, OFFICIAL, "stdio")
        else:
            port = free_port()
            await listening(port, sys.executable, OFFICIAL, transport, str(port))
            path = "/sse" if transport == "sse" else "/mcp"
            endpoint = UrlEndpoint(f"http://127.0.0.1:{port}{path}", "sse" if transport == "sse" else "http")
        upstream = make(endpoint, era=era, **changes)
        await upstream.open()
        return upstream

    return opened


@pytest.mark.parametrize(
    ("transport", "era", "revision"),
    [
        ("stdio", None, "2026-07-28"),
        ("stdio", "handshake", "2025-11-25"),
        ("streamable-http", None, "2026-07-28"),
        ("streamable-http", "handshake", "2025-11-25"),
        ("sse", None, "2025-11-25"),
    ],
)
async def test_a_server_of_the_official_package_works(official, call, client, transport, era, revision):
    upstream = await official(transport, era)
    assert (upstream.about.name, upstream.about.revision) == ("official", revision)
    assert upstream.about.instructions == "Add numbers."
    assert names(await upstream.list("tools")) == {"add", "count", "greet"}
    assert text(await call(upstream, "tools/call", {"name": "add", "arguments": {"a": 2, "b": 3}})) == "5"
    who = client(progress_token="t")
    await call(upstream, "tools/call", {"name": "count", "arguments": {"to": 3}}, downstream=who)
    assert [params["progress"] for _, params in who.told] == [1, 2, 3]
    if revision != "2026-07-28":  # there the package's `elicit` is an error: tools declare what they ask
        who = client(answers={"elicitation/create": {"action": "accept", "content": {"name": "ada"}}})
        assert text(await call(upstream, "tools/call", {"name": "greet"}, downstream=who)) == "hello ada"
    assert (await call(upstream, "resources/read", {"uri": "note://one"}))["contents"][0]["text"] == "noted"


async def test_a_server_that_was_killed_is_reached_again(make, listening, call, heard, tmp_path):
    port = free_port()
    command = (sys.executable, OFFICIAL, "streamable-http", str(port))
    process = await listening(port, *command)
    upstream = make(UrlEndpoint(f"http://127.0.0.1:{port}/mcp"), era="handshake")
    news = heard(upstream)
    await upstream.open()
    process.kill()
    await process.wait()
    await news.hear(LOST)
    await listening(port, *command)
    await news.hear(CONNECTED, 2)
    assert text(await call(upstream, "tools/call", {"name": "add", "arguments": {"a": 2, "b": 3}})) == "5"


@pytest.fixture
def everything(make, yard, listening):
    """An open upstream at npm's server of everything."""

    async def opened(transport: str) -> Any:
        command = npm_server("server-everything")
        if transport == "stdio":
            endpoint: Any = await yard.start(*command, "stdio")
        else:
            port = free_port()
            await listening(port, *command, transport, PORT=str(port))
            path = "/sse" if transport == "sse" else "/mcp"
            endpoint = UrlEndpoint(f"http://127.0.0.1:{port}{path}", "sse" if transport == "sse" else "http")
        upstream = make(endpoint)
        await upstream.open()
        return upstream

    return opened


@pytest.mark.parametrize("transport", ["stdio", "streamableHttp", "sse"])
async def test_the_server_of_everything_works(everything, call, client, transport):
    upstream = await everything(transport)
    tools = names(await upstream.list("tools"))
    assert {"echo", "get-sum"} <= tools
    assert await upstream.list("prompts")
    assert await upstream.list("resources")
    assert text(await call(upstream, "tools/call", {"name": "echo", "arguments": {"message": "hi"}})) == "Echo: hi"
    who = client(progress_token="p")
    arguments = {"duration": 0.3, "steps": 3}
    await call(
        upstream,
        "tools/call",
        {"name": "trigger-long-running-operation", "arguments": arguments},
        downstream=who,
    )
    assert [params["progress"] for method, params in who.told if method == "notifications/progress"] == [1, 2, 3]
    assert {params["progressToken"] for method, params in who.told if method == "notifications/progress"} == {"p"}
    if "trigger-sampling-request" in tools:
        sampled = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "forty-two"}}
        who = client(answers={"sampling/createMessage": sampled})
        asked = {"name": "trigger-sampling-request", "arguments": {"prompt": "?", "maxTokens": 10}}
        assert "forty-two" in text(await call(upstream, "tools/call", asked, downstream=who))


async def test_a_server_from_pypi_works(make, yard, call):
    upstream = make(await yard.start(*pypi_server("mcp-server-time")))
    await upstream.open()
    assert "get_current_time" in names(await upstream.list("tools"))
    asked = {"name": "get_current_time", "arguments": {"timezone": "Europe/Berlin"}}
    assert "Europe/Berlin" in text(await call(upstream, "tools/call", asked))


async def test_a_child_that_is_killed_is_started_again_and_its_call_fails(make, yard, call, heard):
    import psutil

    upstream = make(await yard.start(sys.executable, OFFICIAL, "stdio"))
    news = heard(upstream)
    await upstream.open()

    def served() -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):  # it went meanwhile, or is a zombie of a moment
                if OFFICIAL in process.cmdline():
                    found.append(process)
        return found

    for process in served():
        process.kill()
    await news.hear(LOST)
    await news.hear(CONNECTED, 2)
    assert text(await call(upstream, "tools/call", {"name": "add", "arguments": {"a": 2, "b": 3}})) == "5"

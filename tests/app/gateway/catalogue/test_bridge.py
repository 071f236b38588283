"""`slipway bridge` as a process of its own: over every transport, many sessions over few children, nothing left."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import mcp_types as types
import psutil
import pytest
from mcp import Client as OfficialClient

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from bridging import COUNTING, Running, bridge, environment
from hygiene import until
from real_servers import npm_server

from app.client import Client

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 0,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
HEADERS = {"accept": "application/json, text/event-stream"}


async def counted(client: Client) -> dict:
    return json.loads((await client.call_tool("count", {}))["content"][0]["text"])


@asynccontextmanager
async def session(running: Running) -> AsyncIterator[httpx.AsyncClient]:
    """A session of the older era, ended by DELETE."""
    async with httpx.AsyncClient(headers=HEADERS, timeout=30) as client:
        answer = await client.post(running.url, json=INITIALIZE)
        client.headers["mcp-session-id"] = answer.headers["mcp-session-id"]
        await client.post(running.url, json={"jsonrpc": "2.0", "method": "notifications/initialized"})
        yield client
        assert (await client.delete(running.url)).status_code == 204


async def count_in(client: httpx.AsyncClient, running: Running) -> dict:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "count", "arguments": {}}}
    answer = await client.post(running.url, json=call)
    return json.loads(answer.json()["result"]["content"][0]["text"])


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server from npm, of the older era, bridged."""
    with bridge(tmp_path_factory.mktemp("everything"), command=npm_server("server-everything")) as running:
        yield running


@pytest.mark.parametrize("path", ["/mcp", "/sse"])
async def test_our_client_calls_a_server_of_npm_over_http(everything: Running, path: str) -> None:
    async with Client(everything.base + path) as client:
        assert "get-sum" in [tool["name"] for tool in await client.list_tools()]
        assert (await client.call_tool("get-sum", {"a": 2, "b": 3}))["content"][0]["text"] == "The sum of 2 and 3 is 5."


async def test_our_client_calls_a_server_of_npm_over_a_websocket(everything: Running) -> None:
    async with Client(everything.url.replace("http", "ws", 1)) as client:
        assert (await client.call_tool("echo", {"message": "ws"}))["content"][0]["text"] == "Echo: ws"


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_official_client_finds_all_of_a_server_of_npm(everything: Running, mode: str) -> None:
    async with OfficialClient(everything.url, mode=mode) as client:
        found = await client.call_tool("get-structured-content", {"location": "New York"})
        assert found.structured_content == {"temperature": 33, "conditions": "Cloudy", "humidity": 82}
        resource = (await client.list_resources()).resources[0]
        assert (await client.read_resource(resource.uri)).contents[0].text
        prompt = await client.get_prompt("args-prompt", {"city": "Wien"})
        assert prompt.messages[0].content.text == "What's weather in Wien?"
        reference = types.PromptReference(type="ref/prompt", name="completable-prompt")
        completed = await client.complete(reference, {"name": "department", "value": "E"})
        assert completed.completion.values == ["Engineering"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_what_a_server_of_the_older_era_asks_reaches_a_client_of_either(everything: Running, mode: str) -> None:
    async def sample(_: object, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
        return types.CreateMessageResult(
            role="assistant", content=types.TextContent(type="text", text="sampled"), model="m"
        )

    async def elicit(_: object, params: object) -> types.ElicitResult:
        return types.ElicitResult(action="accept", content={"name": "Ann"})

    callbacks = {"sampling_callback": sample, "elicitation_callback": elicit}
    async with OfficialClient(everything.url, mode=mode, **callbacks) as client:
        sampled = await client.call_tool("trigger-sampling-request", {"prompt": "p", "maxTokens": 5})
        assert "sampled" in sampled.content[0].text
        elicited = await client.call_tool("trigger-elicitation-request", {})
        assert "- Name: Ann" in elicited.content[1].text


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_progress_of_a_server_of_npm_reaches_the_client(everything: Running, mode: str) -> None:
    heard: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)

    async with OfficialClient(everything.url, mode=mode) as client:
        arguments = {"duration": 0.2, "steps": 4}
        await client.call_tool("trigger-long-running-operation", arguments, progress_callback=hear)
    assert heard == [1, 2, 3, 4]


async def test_a_server_of_the_newer_era_asks_clients_of_both(tmp_path: Path) -> None:
    async def elicit(_: object, params: object) -> types.ElicitResult:
        return types.ElicitResult(action="accept", content={"username": "ann", "email": "a@b.example"})

    ours = (sys.executable, "-m", "app.cli")
    options = ("-e", "MCP_TOOLSETS=conformance", "-e", f"PYTHONPATH={Path(__file__).parents[4]}")
    with bridge(tmp_path, *options, command=ours) as running:
        for mode in ("auto", "legacy"):
            async with OfficialClient(running.url, mode=mode, elicitation_callback=elicit) as client:
                found = await client.call_tool("test_elicitation", {"message": "who?"})
                assert "accept" in found.content[0].text


async def test_many_sessions_share_one_child(tmp_path: Path) -> None:
    with bridge(tmp_path) as running:
        async with session(running) as one, session(running) as two:
            first, second = await count_in(one, running), await count_in(two, running)
        assert first["pid"] == second["pid"]
        assert second["count"] == 2
        assert running.ready() == (200, {"status": "ready", "tools": 3, "dependencies": {"sessions": "ok"}})
        assert len(running.children()) == 1


async def test_calls_spread_over_several_children(tmp_path: Path) -> None:
    with bridge(tmp_path, "--children", "3") as running:
        async with Client(running.url) as client:
            pids = {(await counted(client))["pid"] for _ in range(9)}
        assert len(pids) == 3


async def test_each_session_has_a_child_of_its_own_which_ends_with_it(tmp_path: Path) -> None:
    with bridge(tmp_path, "--mode", "per-session", "--children", "2") as running:
        async with session(running) as one:
            async with session(running) as two:
                assert (await count_in(one, running))["count"] == 1
                second = await count_in(two, running)
                assert second["count"] == 1
                assert (await count_in(one, running))["count"] == 2
                async with Client(running.url) as third:  # which has no session, and so shares
                    assert (await counted(third))["count"] == 1
                async with session(running) as fourth:
                    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "count"}}
                    refused = (await fourth.post(running.url, json=call)).json()["result"]
                    assert refused["isError"]
                    assert "2 sessions have a child of their own" in refused["content"][0]["text"]
            await until(lambda: second["pid"] not in [child.pid for child in running.children()])
        await until(lambda: len(running.children()) == 1)


async def test_an_unused_child_is_ended_and_begun_again_when_needed(tmp_path: Path) -> None:
    with bridge(tmp_path, "--idle", "1") as running:
        async with Client(running.url) as client:
            first = await counted(client)
            await until(lambda: not running.children())
            assert running.ready()[0] == 200
            second = await counted(client)
        assert second["count"] == 1
        assert second["pid"] != first["pid"]


async def test_a_child_that_dies_fails_its_call_and_is_replaced(tmp_path: Path) -> None:
    with bridge(tmp_path) as running:
        async with Client(running.url) as client:
            first = await counted(client)
            lost = await client.call_tool("die", {})
            assert lost["isError"]
            assert "The server 'counting' is not available" in lost["content"][0]["text"]
            await until(lambda: running.ready()[0] == 200, 20)
            assert (await counted(client))["pid"] != first["pid"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_nothing_is_left_of_stubborn_children_whatever_ends_the_bridge(tmp_path: Path, number: int) -> None:
    with bridge(tmp_path, "--children", "2", command=(*COUNTING, "--stubborn")) as running:
        async with Client(running.url) as client:
            await counted(client)
        family = psutil.Process(running.process.pid).children(recursive=True)
        assert len(running.children()) == 2
        running.process.send_signal(number)
        running.process.wait(20)
        _, left = psutil.wait_procs(family, timeout=15)
        assert left == []


async def test_a_server_without_tools_is_told_of(tmp_path: Path) -> None:
    with bridge(tmp_path, command=(*COUNTING, "--without-tools")) as running:
        await until(lambda: running.ready()[0] == 200, 30)
        assert running.ready()[1]["tools"] == 0
        assert "It started, but offers no tools" in running.log.read_text()


async def test_a_bridge_whose_program_is_missing_is_not_ready_and_says_why(tmp_path: Path) -> None:
    with bridge(tmp_path, command=("no-such-program",)) as running:
        await until(lambda: "there is no such program" in running.ready()[1]["status"], 30)
        assert running.ready()[0] == 503
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{running.base}/livez")).status_code == 200


async def test_our_own_secrets_do_not_reach_the_child(tmp_path: Path) -> None:
    node = npm_server("server-everything")
    settings = {"MCP_AUTH_TOKENS": "a-token-of-32-characters-or-more", "OTHERS": "kept"}
    with bridge(tmp_path, "-e", "GIVEN=1", command=node, **settings) as running:
        async with Client(running.url, headers={"authorization": f"Bearer {settings['MCP_AUTH_TOKENS']}"}) as client:
            found = json.loads((await client.call_tool("get-env", {}))["content"][0]["text"])
    assert "MCP_AUTH_TOKENS" not in found
    assert (found["OTHERS"], found["GIVEN"]) == ("kept", "1")


def test_a_wrong_option_is_explained() -> None:
    words = [sys.executable, "-m", "app.cli", "bridge", "--mode", "odd", "-e", "X", "--", "true"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment(), timeout=60)
    assert done.returncode == 2
    assert "--mode is 'odd': give shared or per-session" in done.stderr
    assert "--env is 'X': write NAME=VALUE" in done.stderr

"""`slipway gateway` as a process of its own: what a file declares, all together, each by itself, and as chosen."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest
import yaml
from mcp import Client as OfficialClient

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from bridging import COUNTING, Running, address, bridge, environment
from hygiene import TIED, until
from real_servers import npm_server, pypi_server

from app.client import Client


@contextmanager
def gateway(folder: Path, declaration: dict | None, *options: str, **settings: str) -> Iterator[Running]:
    """A gateway on a port of its own; afterwards nothing of it may be left."""
    log, file = folder / "gateway.log", folder / "gateway.yaml"
    words = [*TIED, sys.executable, "-m", "app.cli", "gateway", "--port", "0", *options]
    if declaration is not None:
        file.write_text(yaml.safe_dump(declaration))
        words += ["--config", str(file)]
    with log.open("wb") as out:
        process = subprocess.Popen(words, stdout=out, stderr=subprocess.STDOUT, env=environment(**settings))
    family: list[psutil.Process] = []
    try:
        yield Running(process, address(process, log), log)
        family = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.terminate()
        assert process.wait(30) == 0
        _, left = psutil.wait_procs(family, timeout=10)
        assert left == []


def remote(running: Running) -> dict:
    return {"type": "remote", "url": running.url}


def servers(running: Running) -> dict[str, dict]:
    with urllib.request.urlopen(f"{running.base}/servers", timeout=60) as answer:
        return {server["id"]: server for server in json.load(answer)}


async def phases(running: Running, **wanted: str) -> None:
    await until(lambda: {i: s["phase"] for i, s in servers(running).items()} == wanted, 60)


async def names(url: str) -> list[str]:
    async with Client(url) as client:
        return [tool["name"] for tool in await client.list_tools()]


@pytest.fixture(scope="module")
def bridged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Running]]:
    """Servers of npm (older era), of PyPI (newer era) and of our own, to be reached by address."""
    commands = {"everything": npm_server("server-everything"), "time": pypi_server("mcp-server-time")}
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(bridge(tmp_path_factory.mktemp(name), command=command))
            for name, command in {**commands, "counting": COUNTING}.items()
        }


@pytest.fixture(scope="module")
def running(bridged: dict[str, Running], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A gateway before them, with virtual servers, and with one that nobody answers for."""
    declaration = {
        "servers": {
            **{name: remote(running) for name, running in bridged.items()},
            "dead": {"type": "remote", "url": "http://127.0.0.1:9/mcp"},
        },
        "virtual": {"clock": {"servers": ["time"]}, "some": {"tools": ["*_echo", "counting_*"]}},
    }
    with gateway(tmp_path_factory.mktemp("gateway"), declaration) as running:
        asyncio.run(until(lambda: [s["phase"] for s in servers(running).values()].count("ready") == 3, 60))
        yield running


async def test_the_union_has_the_tools_of_all_under_their_servers_ids(running: Running) -> None:
    found = await names(running.url)
    assert {"counting_count", "everything_echo", "time_get_current_time"} <= set(found)
    assert running.ready()[1]["tools"] == len(found)
    async with Client(running.url) as client:
        assert (await client.call_tool("everything_echo", {"message": "x"}))["content"][0]["text"] == "Echo: x"


async def test_each_server_is_served_by_itself_over_every_transport(running: Running) -> None:
    for path in ("mcp", "sse"):
        assert await names(f"{running.base}/servers/time/{path}") == ["get_current_time", "convert_time"]
    socket = f"{running.base}/servers/time/mcp".replace("http", "ws", 1)
    assert await names(socket) == ["get_current_time", "convert_time"]


async def test_virtual_servers_have_what_was_chosen(running: Running) -> None:
    assert await names(f"{running.base}/virtual/clock/mcp") == ["time_get_current_time", "time_convert_time"]
    some = ["counting_count", "counting_die", "counting_hang", "everything_echo"]
    assert await names(f"{running.base}/virtual/some/mcp") == some


@pytest.mark.parametrize("path", ["/servers/nobody/mcp", "/virtual/nothing/mcp", "/servers/time/other"])
def test_a_server_that_is_not_there_is_not_found(running: Running, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(running.base + path, b"{}", timeout=30)
    with caught.value as refused:
        assert refused.code == 404


async def test_a_dead_server_is_told_of_and_fails_no_other(running: Running) -> None:
    assert servers(running)["dead"]["phase"] != "ready"
    assert running.ready()[0] == 200
    async with Client(running.url) as client:
        assert not (await client.call_tool("counting_count", {})).get("isError")


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_of_either_era_calls_servers_of_both(running: Running, mode: str) -> None:
    async with OfficialClient(running.url, mode=mode) as client:
        older = await client.call_tool("everything_get-structured-content", {"location": "New York"})
        assert older.structured_content == {"temperature": 33, "conditions": "Cloudy", "humidity": 82}
        newer = await client.call_tool("time_get_current_time", {"timezone": "Europe/Vienna"})
        assert json.loads(newer.content[0].text)["timezone"] == "Europe/Vienna"
        listed = (await client.list_resources()).resources
        assert (await client.read_resource(listed[0].uri)).contents[0].text
        prompt = await client.get_prompt("everything_args-prompt", {"city": "Wien"})
        assert prompt.messages[0].content.text == "What's weather in Wien?"


@pytest.mark.filterwarnings("ignore:resources/subscribe is removed")
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_resource_that_changes_is_told_through_bridge_and_gateway(running: Running, mode: str) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def hear(message: object) -> None:
        if getattr(message, "method", "") == "notifications/resources/updated":
            heard.put_nowait(str(message.params.uri))

    async with OfficialClient(running.url, mode=mode, message_handler=hear) as client:
        uri = (await client.list_resources()).resources[0].uri
        async with asyncio.timeout(30):
            if mode == "legacy":
                await client.subscribe_resource(uri)
                await client.call_tool("everything_toggle-subscriber-updates", {})
                assert await heard.get() == str(uri)
                await client.call_tool("everything_toggle-subscriber-updates", {})
            else:
                async with client.listen(resource_subscriptions=[str(uri)]) as events:
                    await client.call_tool("everything_toggle-subscriber-updates", {})
                    async for event in events:
                        assert str(uri) in repr(event)
                        break
                await client.call_tool("everything_toggle-subscriber-updates", {})


async def test_servers_come_and_go_with_the_file(bridged: dict[str, Running], tmp_path: Path) -> None:
    declaration = {"servers": {"one": remote(bridged["counting"])}}
    with gateway(tmp_path, declaration) as running:
        await phases(running, one="ready")
        async with OfficialClient(running.url, mode="legacy") as client:
            assert (await client.list_tools()).tools[0].name == "one_count"
            declaration = {"servers": {"two": remote(bridged["time"])}, "virtual": {"v": {"servers": ["two"]}}}
            (tmp_path / "gateway.yaml").write_text(yaml.safe_dump(declaration))
            await phases(running, two="ready")
            assert (await client.list_tools()).tools[0].name == "two_get_current_time"
        assert len(await names(f"{running.base}/virtual/v/mcp")) == 2


async def test_a_server_started_over_rest_is_served_at_once(bridged: dict[str, Running], tmp_path: Path) -> None:
    with gateway(tmp_path, None) as running:
        assert await names(running.url) == []
        body = json.dumps({"name": "c", **remote(bridged["counting"])}).encode()
        request = urllib.request.Request(
            f"{running.base}/servers?wait=30", body, {"content-type": "application/json"}, method="POST"
        )
        await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=60).close())
        assert await names(running.url) == ["c_count", "c_die", "c_hang"]


def test_a_file_that_is_wrong_is_explained_at_once(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("servers: {a: {typ: npx}}\nnonsense: 1\n")
    words = [sys.executable, "-m", "app.cli", "gateway", "--config", str(file)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment(), timeout=60)
    assert done.returncode == 2
    assert "servers.a.typ" in done.stderr
    assert "nonsense" in done.stderr
    done = subprocess.run(
        [*words[:-1], str(tmp_path / "none")], capture_output=True, text=True, env=environment(), timeout=60
    )
    assert done.returncode == 2
    assert "cannot be read" in done.stderr

"""Agents as processes: they register, find and call each other, through whatever happens."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.cli._agent import serve_agent
from app.client import Client, RemoteError
from app.settings import Settings

SHOUT = {"capability": "shout", "arguments": {"text": "hi"}}


async def call(agent: Any, tool: str, **arguments: Any) -> Any:
    """What a tool of an agent answers; its message where it fails."""
    async with Client(f"{agent.url}/mcp", timeout=30) as client:
        result = await client.call_tool(tool, arguments)
    if result.get("isError"):
        return AssertionError(result["content"][0]["text"])
    return result.get("structuredContent") or result["content"][0]["text"]


async def test_an_agent_registers_what_it_can_do_at_its_pods_address(mesh: Any) -> None:
    agent = mesh.agent("worker", POD_IP="127.0.0.1", POD_NAME="worker-7d9-x1")
    (known,) = mesh.await_registered(1)
    assert known["name"] == "worker"
    assert known["replica"].startswith("worker-7d9-x1-")
    assert known["endpoint"] == f"http://127.0.0.1:{agent.port}"
    offered = {one["name"]: one for one in known["capabilities"]}
    assert (offered["shout"]["version"], offered["shout"]["timeout"]) == ("1.4.0", 5)
    assert offered["shout"]["tags"] == ["fast", "text"]
    assert offered["shout"]["description"] == "Say it louder, and who said it."
    assert offered["shout"]["inputSchema"]["required"] == ["text"]
    assert known["dependencies"] == [{"capability": "shout", "version": "^1"}]


async def test_a_capability_calls_another_agents(mesh: Any) -> None:
    mesh.agent("singer")
    caller = mesh.agent("caller")
    mesh.await_registered(2)
    assert (await call(caller, "relay", **SHOUT))["answer"].startswith("HI ")
    added = await call(caller, "relay", capability="add", arguments={"left": 1, "right": 2})
    assert added == {"answer": {"sum": 3}}


async def test_only_versions_in_the_range_are_called(mesh: Any) -> None:
    caller = mesh.agent("caller")
    mesh.await_registered(1)
    assert "answer" in await call(caller, "relay", **SHOUT, version="^1.2")
    failed = await call(caller, "relay", **SHOUT, version=">=2")
    assert "nobody in the mesh can do 'shout' (in >=2) now" in str(failed)


async def test_calls_go_to_the_replica_with_the_fewest_in_flight(mesh: Any, eventually: Any) -> None:
    for _ in range(3):
        mesh.agent("worker")
    caller = mesh.agent("caller", MCP_AGENT_MODULES="relaying")
    mesh.await_registered(4)
    waiting = {"capability": "hold", "arguments": {"folder": str(mesh.folder)}}
    calls = [asyncio.create_task(call(caller, "relay", **waiting)) for _ in range(6)]
    await asyncio.to_thread(eventually, lambda: list(mesh.folder.glob("begun-*")), lambda begun: len(begun) == 3)
    (mesh.folder / "go").touch()
    answered = [(await one)["answer"] for one in calls]
    assert sorted(answered.count(worker) for worker in set(answered)) == [2, 2, 2]


async def test_a_killed_replica_costs_no_call(mesh: Any) -> None:
    workers = [mesh.agent("worker") for _ in range(2)]
    caller = mesh.agent("caller", MCP_AGENT_MODULES="relaying")
    mesh.await_registered(3)
    both = {(await call(caller, "relay", **SHOUT))["answer"] for _ in range(20)}
    assert len(both) == 2
    workers[0].process.kill()
    workers[0].wait()
    after = {(await call(caller, "relay", **SHOUT))["answer"] for _ in range(10)}
    assert after == {f"HI worker:{workers[1].process.pid}"}


async def test_a_call_that_may_have_happened_is_not_made_twice(mesh: Any, eventually: Any) -> None:
    worker = mesh.agent("worker")
    mesh.agent("worker")
    caller = mesh.agent("caller", MCP_AGENT_MODULES="relaying")
    mesh.await_registered(3)
    waiting = {"capability": "hold", "arguments": {"folder": str(mesh.folder)}}
    first = asyncio.create_task(call(caller, "relay", **waiting))
    (begun,) = await asyncio.to_thread(
        eventually, lambda: list(mesh.folder.glob("begun-*")), lambda found: len(found) == 1
    )
    os.kill(int(begun.name.partition("-")[2]), signal.SIGKILL)
    assert "could not be asked" in str(await first)
    assert list(mesh.folder.glob("begun-*")) == [begun]
    assert worker is not None


async def test_without_the_registry_agents_go_on_and_join_again_when_it_is_back(mesh: Any) -> None:
    mesh.agent("worker")
    settings = {"MCP_AGENT_MODULES": "relaying"}
    config = mesh.folder / "agent-config.yaml"
    config.write_text("health_interval: 1\n")
    caller = mesh.agent("caller", "--config", str(config), **settings)
    mesh.await_registered(2)
    assert "answer" in await call(caller, "relay", **SHOUT)
    mesh.registry.process.kill()
    mesh.registry.wait()
    assert "answer" in await call(caller, "relay", **SHOUT)
    mesh.restart_registry()
    mesh.await_registered(1, name="caller")


async def test_an_agent_serves_before_there_is_a_registry(mesh: Any) -> None:
    mesh.registry.process.kill()
    mesh.registry.wait()
    agent = mesh.agent("early")
    assert (await call(agent, "add", left=2, right=2)) == {"sum": 4}
    mesh.restart_registry()
    mesh.await_registered(1)


async def test_sigterm_deregisters_at_once_and_finishes_what_runs(mesh: Any, eventually: Any) -> None:
    agent = mesh.agent("worker")
    mesh.await_registered(1)
    running = asyncio.create_task(call(agent, "hold", folder=str(mesh.folder)))
    await asyncio.to_thread(eventually, lambda: list(mesh.folder.glob("begun-*")), bool)
    agent.terminate()
    await asyncio.to_thread(mesh.await_registered, 0)
    assert not running.done()
    (mesh.folder / "go").touch()
    assert await running == str(agent.process.pid)
    assert agent.wait() == 0


async def test_a_changed_file_is_taken_in_without_a_restart(mesh: Any, eventually: Any) -> None:
    config = mesh.folder / "agent-config.yaml"
    config.write_text("capabilities: [{name: add}]\n")
    agent = mesh.agent("worker", "--config", str(config))
    (known,) = mesh.await_registered(1)
    assert [one["name"] for one in known["capabilities"]] == ["add"]
    config.write_text("capabilities: [{name: shout, version: 9.0.0}, {name: nonsense}]\n")
    await asyncio.to_thread(
        eventually, lambda: [line["event"] for line in agent.lines], lambda events: any("nonsense" in e for e in events)
    )
    assert [one["name"] for one in mesh.registered()[0]["capabilities"]] == ["add"]
    config.write_text("capabilities: [{name: shout, version: 9.0.0}]\nhealth_interval: 7\n")
    changed = await asyncio.to_thread(
        eventually, mesh.registered, lambda found: found[0]["capabilities"][0]["name"] == "shout"
    )
    assert changed[0]["capabilities"][0]["version"] == "9.0.0"
    assert changed[0]["healthInterval"] == 7
    assert changed[0]["id"] == known["id"]
    assert "SHOUT" not in str(await call(agent, "shout", text="quiet"))
    with pytest.raises(RemoteError, match="add"):
        await call(agent, "add", left=1, right=1)


async def test_a_slow_agent_is_not_waited_for_beyond_the_deadline(mesh: Any) -> None:
    caller = mesh.agent("caller")
    mesh.await_registered(1)
    began = asyncio.get_running_loop().time()
    failed = await call(caller, "relay", capability="hold", arguments={"folder": str(mesh.folder)}, timeout=0.5)
    assert asyncio.get_running_loop().time() - began < 5
    assert "'hold' did not answer in time" in str(failed)


async def test_the_reason_of_a_failed_call_reaches_the_caller(mesh: Any) -> None:
    caller = mesh.agent("caller")
    mesh.await_registered(1)
    failed = await call(caller, "relay", capability="add", arguments={"left": "x"})
    assert "left" in str(failed)


async def test_the_trace_is_carried_on(mesh: Any) -> None:
    caller = mesh.agent("caller")
    mesh.await_registered(1)
    there = (await call(caller, "relay", capability="trace", arguments={}))["answer"]
    assert len(there.split("-")[1]) == 32
    (line,) = [line for line in caller.lines if "is connected" in str(line["event"])]
    assert line["trace_id"] == there.split("-")[1]


async def test_a_registry_that_wants_tokens_is_given_one(start_slipway: Any, mesh: Any, eventually: Any) -> None:
    token = "a-token-of-32-characters-0123456"
    guarded = start_slipway("registry", MCP_AUTH_TOKENS=f"{token}:team:mesh:register")
    mesh.url = guarded.url
    mesh.agent("worker", MCP_MESH_TOKEN=token)
    refused = mesh.agent("stranger")
    headers = {"authorization": f"Bearer {token}"}
    found = eventually(
        lambda: httpx.get(f"{guarded.url}/agents", headers=headers, trust_env=False).json()["agents"],
        lambda agents: [agent["name"] for agent in agents] == ["worker"],
    )
    assert found[0]["owner"] == "team"
    assert token not in refused.log.read_text()


def test_without_http_an_agent_speaks_over_stdio_and_registers_nowhere(mesh: Any) -> None:
    initialize = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "greeting", "arguments": {}}},
    ]
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "agent", "--registry", mesh.url],
        input="".join(json.dumps(message) + "\n" for message in messages),
        env={**os.environ, "MCP_MESH_HTTP_ENABLED": "false"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["result"]["content"][0]["text"].startswith("Hello, world!")
    assert mesh.registered() == []


@pytest.mark.parametrize(
    ("module", "content", "said"),
    [
        ("nowhere.at.all", "", "module 'nowhere.at.all' cannot be imported"),
        ("json", "", "module 'json' declares no capability"),
        (None, "capabilities: [{name: dance}]", "capabilities[0].name is 'dance', which no loaded module declares"),
        (None, "capabilities: [{nam: greeting}]", "capabilities[0]: Object"),
        (None, "health_interval: 0\nretry_attempts: 99", "retry_attempts is 99: give 0 to 10"),
        (None, "health_interval: 0\nretry_attempts: 99", "health_interval is 0: give 1 to 3600 seconds"),
        (None, "dependencies: ['translate@soon']", "dependency 'translate': 'soon' is not a range"),
        (None, ": [", "it is not YAML"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], module: str | None, content: str, said: str
) -> None:
    config = tmp_path / "agent-config.yaml"
    config.write_text(content)
    assert serve_agent(Settings.load(port=0, agent_modules=module), config) == 2
    assert said in capsys.readouterr().err


def test_a_function_that_cannot_be_described_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "undescribed.py").write_text(
        "from app.mesh.agent import capability\n@capability\nasync def odd(what: object) -> str: return ''\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert serve_agent(Settings.load(port=0, agent_modules="undescribed"), None) == 2
    assert "capability 'odd' of undescribed: its annotations" in capsys.readouterr().err


async def test_the_agent_of_the_guide_writes_a_letter(mesh: Any) -> None:
    repository = Path(__file__).parents[4]
    module = (repository / "examples" / "agents" / "letters.py").read_text("utf-8")
    function = module[module.index("from app.mesh.agent import") :]
    assert function.strip() in (repository / "docs" / "agents.md").read_text("utf-8")
    mesh.agent("hello-world", MCP_AGENT_MODULES="")
    writer = mesh.agent("writer", MCP_AGENT_MODULES="letters", PYTHONPATH=str(repository / "examples" / "agents"))
    mesh.await_registered(2)
    letter = await call(writer, "write_letter", to="Ada", body="The engine works.")
    assert letter.startswith("Hello, Ada!")
    assert letter.endswith("\n\nThe engine works.\n")

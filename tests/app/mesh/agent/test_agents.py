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
    async with Client(f"{agent.url}/mcp", timeout=90) as client:
        result = await client.call_tool(tool, arguments)
    if result.get("isError"):
        return AssertionError(result["content"][0]["text"])
    return result.get("structuredContent") or result["content"][0]["text"]


async def test_an_agent_registers_what_it_can_do_at_its_pods_address(standing: Any) -> None:
    known = standing.registered(name="worker")
    assert {agent["endpoint"] for agent in known} == {f"http://127.0.0.1:{one.port}" for one in standing.workers}
    assert sorted(agent["replica"].rpartition("-")[0] for agent in known) == ["worker-7d9-x0", "worker-7d9-x1"]
    assert {agent["metadata"]["namespace"] for agent in known} == {"default"}
    offered = {one["name"]: one for one in known[0]["capabilities"]}
    assert (offered["shout"]["version"], offered["shout"]["timeout"]) == ("1.4.0", 20)
    assert offered["shout"]["tags"] == ["fast", "text"]
    assert offered["shout"]["description"] == "Say it louder, and who said it."
    assert offered["shout"]["inputSchema"]["required"] == ["text"]
    assert known[0]["dependencies"] == [{"capability": "shout", "version": "^1"}]


async def test_a_capability_calls_another_agents(standing: Any) -> None:
    assert (await call(standing.caller, "relay", **SHOUT))["answer"].startswith("HI worker:")
    added = await call(standing.caller, "relay", capability="add", arguments={"left": 1, "right": 2})
    assert added == {"answer": {"sum": 3}}


async def test_only_versions_in_the_range_are_called(standing: Any) -> None:
    assert "answer" in await call(standing.caller, "relay", **SHOUT, version="^1.2")
    failed = await call(standing.caller, "relay", **SHOUT, version=">=2")
    assert "nobody in the mesh can do 'shout' (in >=2) now" in str(failed)


async def test_calls_go_to_the_replica_with_the_fewest_in_flight(
    standing: Any, eventually: Any, tmp_path: Path
) -> None:
    waiting = {"capability": "hold", "arguments": {"folder": str(tmp_path)}, "timeout": 90}
    calls = [asyncio.create_task(call(standing.caller, "relay", **waiting)) for _ in range(8)]
    await asyncio.to_thread(eventually, lambda: list(tmp_path.glob("begun-*")), lambda begun: len(begun) == 8)
    (tmp_path / "go").touch()
    answered = [(await one)["answer"] for one in calls]
    assert sorted(answered.count(worker) for worker in set(answered)) == [4, 4]


async def test_a_slow_agent_is_not_waited_for_beyond_the_deadline(standing: Any, tmp_path: Path) -> None:
    waiting = {"capability": "hold", "arguments": {"folder": str(tmp_path)}}
    began = asyncio.get_running_loop().time()
    failed = await call(standing.caller, "relay", **waiting, timeout=0.5)
    (tmp_path / "go").touch()
    assert asyncio.get_running_loop().time() - began < 20  # the capability's own limit is 30
    assert "'hold' did not answer in time" in str(failed) or "could not be found in time" in str(failed)


async def test_the_reason_of_a_failed_call_reaches_the_caller(standing: Any) -> None:
    failed = await call(standing.caller, "relay", capability="add", arguments={"left": "x"})
    assert "left" in str(failed)
    failed = await call(standing.caller, "relay", capability="stumble", arguments={})
    assert "the left foot met the right one" in str(failed)


async def test_the_trace_is_carried_on(standing: Any) -> None:
    there = (await call(standing.caller, "relay", capability="trace", arguments={}))["answer"]
    trace = there.split("-")[1]
    asking = [line for line in standing.caller.lines if line["event"] == "asking 'trace'"]
    asked = [line for worker in standing.workers for line in worker.lines if line["event"] == "asked for the trace"]
    assert [line["trace_id"] for line in asking] == [line["trace_id"] for line in asked] == [trace]


async def test_a_killed_replica_costs_the_call_that_it_had_begun_and_no_other(mesh: Any, eventually: Any) -> None:
    workers = [mesh.agent("worker") for _ in range(2)]
    caller = mesh.agent("caller", MCP_AGENT_MODULES="relaying")
    mesh.await_registered(3)
    waiting = {"capability": "hold", "arguments": {"folder": str(mesh.folder)}, "timeout": 90}
    first = asyncio.create_task(call(caller, "relay", **waiting))
    (begun,) = await asyncio.to_thread(
        eventually, lambda: list(mesh.folder.glob("begun-*")), lambda found: len(found) == 1
    )
    killed = int(begun.name.split("-")[1])
    os.kill(killed, signal.SIGKILL)
    assert "could not be asked" in str(await first)
    assert list(mesh.folder.glob("begun-*")) == [begun]  # what may have happened is not made to happen again
    (left,) = (worker.process.pid for worker in workers if worker.process.pid != killed)
    after = [await call(caller, "relay", **SHOUT) for _ in range(10)]
    assert after == [{"answer": f"HI worker:{left}"}] * 10


async def test_without_the_registry_agents_go_on_and_join_again_when_it_is_back(mesh: Any) -> None:
    mesh.agent("worker")
    # It is not where it says, and DNS knows better: this name is known everywhere.
    mesh.agent("localhost", MCP_AGENT_MODULES="misplaced", POD_IP="127.0.0.2", MCP_HOST="127.0.0.1")
    config = mesh.folder / "agent-config.yaml"
    config.write_text("health_interval: 1\n")
    settings = {"MCP_AGENT_MODULES": "relaying", "MCP_AGENT_SERVICE": "{agent}"}
    caller = mesh.agent("caller", "--config", str(config), **settings)
    mesh.await_registered(3)
    assert "answer" in await call(caller, "relay", **SHOUT)
    assert "could not be asked" in str(await call(caller, "relay", capability="whisper", arguments={}))
    mesh.registry.process.kill()
    mesh.registry.wait()
    assert "answer" in await call(caller, "relay", **SHOUT)
    assert await call(caller, "relay", capability="whisper", arguments={}) == {"answer": "psst"}
    mesh.start_registry()
    mesh.await_registered(1, name="caller")


async def test_an_agent_serves_before_there_is_a_registry(empty_mesh: Any) -> None:
    agent = empty_mesh.agent("early")
    assert (await call(agent, "add", left=2, right=2)) == {"sum": 4}
    ready = await asyncio.to_thread(httpx.get, f"{agent.url}/ready", trust_env=False, timeout=30)
    assert (ready.status_code, ready.json()["status"]) == (200, "degraded")
    empty_mesh.start_registry()
    empty_mesh.await_registered(1)


async def test_sigterm_deregisters_at_once_and_finishes_what_runs(guests: Any, eventually: Any) -> None:
    agent = guests.agent("leaver")
    guests.await_registered(1, name="leaver")
    running = asyncio.create_task(call(agent, "hold", folder=str(guests.folder)))
    await asyncio.to_thread(eventually, lambda: list(guests.folder.glob("begun-*")), bool)
    agent.terminate()
    await asyncio.to_thread(guests.await_registered, 0, name="leaver")
    assert not running.done()
    (guests.folder / "go").touch()
    assert await running == str(agent.process.pid)
    assert agent.wait() == 0


async def test_a_changed_file_is_taken_in_without_a_restart(guests: Any, eventually: Any) -> None:
    config = guests.folder / "agent-config.yaml"
    config.write_text("capabilities: [{name: add}]\n")
    agent = guests.agent("changing", "--config", str(config))
    (known,) = guests.await_registered(1, name="changing")
    assert [one["name"] for one in known["capabilities"]] == ["add"]
    config.write_text("capabilities: [{name: shout, version: 9.0.0}, {name: nonsense}]\n")
    await asyncio.to_thread(
        eventually, lambda: [line["event"] for line in agent.lines], lambda events: any("nonsense" in e for e in events)
    )
    assert [one["name"] for one in guests.registered(name="changing")[0]["capabilities"]] == ["add"]
    config.write_text("capabilities: [{name: shout, version: 9.0.0}]\nhealth_interval: 7\n")
    changed = await asyncio.to_thread(
        eventually,
        lambda: guests.registered(name="changing"),
        lambda found: found[0]["capabilities"][0]["name"] == "shout",
    )
    assert changed[0]["capabilities"][0]["version"] == "9.0.0"
    assert changed[0]["healthInterval"] == 7
    assert changed[0]["id"] == known["id"]
    assert "SHOUT" not in str(await call(agent, "shout", text="quiet"))
    with pytest.raises(RemoteError, match="add"):
        await call(agent, "add", left=1, right=1)


async def test_a_registry_that_wants_tokens_is_given_one(start_slipway: Any, empty_mesh: Any, eventually: Any) -> None:
    token = "a-token-of-32-characters-0123456"
    guarded = start_slipway("registry", MCP_AUTH_TOKENS=f"{token}:team:mesh:register")
    empty_mesh.url = guarded.url
    empty_mesh.agent("worker", MCP_MESH_TOKEN=token)
    refused = empty_mesh.agent("stranger")
    headers = {"authorization": f"Bearer {token}"}
    found = eventually(
        lambda: httpx.get(f"{guarded.url}/agents", headers=headers, trust_env=False).json()["agents"],
        lambda agents: [agent["name"] for agent in agents] == ["worker"],
    )
    assert found[0]["owner"] == "team"
    assert token not in refused.log.read_text()


def test_without_http_an_agent_speaks_over_stdio_and_registers_nowhere(standing: Any) -> None:
    initialize = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": initialize},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "greeting", "arguments": {}}},
    ]
    done = subprocess.run(
        [sys.executable, "-m", "app.cli", "agent", "--name", "silent", "--registry", standing.url],
        input="".join(json.dumps(message) + "\n" for message in messages),
        env={**os.environ, "MCP_MESH_HTTP_ENABLED": "false"},
        capture_output=True,
        text=True,
        timeout=90,
    )
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["result"]["content"][0]["text"].startswith("Hello, world!")
    assert standing.registered(name="silent") == []


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


async def test_the_agent_of_the_guide_writes_a_letter(guests: Any) -> None:
    repository = Path(__file__).parents[4]
    module = (repository / "examples" / "agents" / "letters.py").read_text("utf-8")
    function = module[module.index("from app.mesh.agent import") :]
    assert function.strip() in (repository / "docs" / "agents.md").read_text("utf-8")
    guests.agent("hello-world", MCP_AGENT_MODULES="")
    writer = guests.agent("writer", MCP_AGENT_MODULES="letters", PYTHONPATH=str(repository / "examples" / "agents"))
    guests.await_registered(1, name="hello-world")
    guests.await_registered(1, name="writer")
    letter = await call(writer, "write_letter", to="Ada", body="The engine works.")
    assert letter.startswith("Hello, Ada!")
    assert letter.endswith("\n\nThe engine works.\n")

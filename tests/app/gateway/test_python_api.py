"""External servers from Python: with real processes, and with a launcher that does what the test says."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent / "support"))
from hygiene import descendants
from yard import FakeLauncher

from app.cli._gateway import place_of
from app.gateway.api import Refused, ServerFailed, UnknownServer, read_config
from app.gateway.children.listening import free_port
from app.gateway.launcher import Launched, LaunchError
from app.gateway.manager.model import Conflict
from app.gateway.spec import SecretRef
from app.gateway.upstream import UpstreamUnavailable
from app.mcp_kubernetes import MCPKubernetesManager
from app.settings import Settings

# Our own image's server, as a process: real, quick, and fetched from nowhere.
OWN = {"server_type": "archon", "transport": "stdio"}


@pytest.fixture
async def manager(monkeypatch, tmp_path) -> AsyncIterator[MCPKubernetesManager]:
    """It leaves no process behind."""
    monkeypatch.setenv("MCP_PACKAGES_PATH", str(tmp_path / "packages"))
    before = set(descendants())
    async with MCPKubernetesManager(namespace="archon") as made:
        yield made
    left = {pid: what for pid, what in descendants().items() if pid not in before}
    assert not left


async def test_a_server_is_started_listed_called_and_stopped(manager):
    result = await manager.start_external_server(OWN)
    assert (result["server_id"], result["status"], result["tools"] > 0) == ("archon", "ready", True)
    assert [server["server_id"] for server in await manager.list_external_servers()] == ["archon"]
    assert (await manager.get_server_status("archon"))["status"] == "ready"
    assert "echo" in {tool["name"] for tool in await manager.list_tools("archon")}
    answer = await manager.call_tool("archon", "echo", {"text": "hello"})
    assert answer["content"][0]["text"] == "hello"
    await manager.stop_external_server(result["server_id"])
    assert await manager.list_external_servers() == []


async def test_the_same_start_again_changes_nothing_and_another_is_a_conflict(manager):
    first, second = await asyncio.gather(manager.start_external_server(OWN), manager.start_external_server(OWN))
    assert first["server_id"] == second["server_id"]
    assert len(await manager.list_external_servers()) == 1
    with pytest.raises(Conflict, match="a server archon runs that differs"):
        await manager.start_external_server({**OWN, "name": "archon", "env": {"MCP_TOOLSETS": "map"}})


async def test_health_is_of_the_launcher_and_of_each_server(manager):
    assert await manager.sidecar.health_check() == {"healthy": True, "reason": "", "servers": {}}
    await manager.start_external_server(OWN)
    assert (await manager.sidecar.health_check())["servers"] == {"archon": "ready"}
    one = await manager.sidecar.get_server_status("archon")
    assert (one["healthy"], one["reason"], one["seconds"] is not None) == (True, "", True)


async def test_an_unknown_server_is_told_with_the_remedy(manager):
    for call in (manager.get_server_status, manager.stop_external_server, manager.list_tools):
        with pytest.raises(UnknownServer, match="there is no server 'none': list the servers"):
            await call("none")


async def test_what_may_not_run_is_refused_and_nothing_is_kept(monkeypatch):
    monkeypatch.setenv("MCP_ALLOW_NPX", "false")
    async with MCPKubernetesManager() as manager:
        with pytest.raises(Refused, match="MCP_ALLOW_NPX=false does not allow"):
            await manager.start_external_server({"server_type": "npx", "package": "some-server"})
        with pytest.raises(Refused, match="MCP_ALLOW_CUSTOM_IMAGES=false does not allow"):
            await manager.start_external_server({"server_type": "image", "image": "example/server:1"})
        assert await manager.list_external_servers() == []


async def test_close_ends_what_runs_and_a_later_call_begins_anew(manager):
    await manager.start_external_server(OWN)
    await manager.close()
    assert await manager.list_external_servers() == []


class Refusing(FakeLauncher):
    """Begins nothing."""

    async def start(self, spec) -> Launched:
        raise LaunchError("ErrImagePull: there is no such image: name one that exists")

    async def check(self) -> None:
        raise LaunchError("the cluster does not answer")


async def test_a_server_that_does_not_come_up_raises_with_the_reason_and_is_stopped_again():
    async with MCPKubernetesManager(launcher=Refusing()) as manager:
        with pytest.raises(ServerFailed, match="ErrImagePull: there is no such image") as caught:
            await manager.start_external_server(OWN)
        assert caught.value.server_id == "archon"
        assert await manager.list_external_servers() == []


async def test_health_says_why_no_server_can_be_started():
    async with MCPKubernetesManager(launcher=Refusing()) as manager:
        found = await manager.sidecar.health_check()
        assert (found["healthy"], found["reason"]) == (False, "the cluster does not answer")


async def test_a_launcher_of_ones_own_is_told_what_to_start_and_closed(until):
    launcher = FakeLauncher()
    launcher.held.add("archon")
    manager = MCPKubernetesManager(launcher=launcher)
    begun = await manager.start_external_server(OWN, wait=0)
    await until(lambda: "archon" in launcher.running)
    assert begun["status"] != "ready"
    with pytest.raises(UpstreamUnavailable, match="it is starting"):
        await manager.call_tool("archon", "echo")
    with pytest.raises(ServerFailed, match=r"it is still starting after 0.05 s.*allow more with wait"):
        await manager.start_external_server({**OWN, "name": "archon"}, wait=0.05)
    # It was begun by another call, which may still wait for it.
    assert [server["server_id"] for server in await manager.list_external_servers()] == ["archon"]
    await manager.close()


def test_the_names_of_the_config_mean_what_they_say():
    name, spec, ttl, replace = read_config(
        {
            "name": "mine",
            "server_type": "npx",
            "package": "@acme/server",
            "version": "1.2.3",
            "transport": "stdio",
            "args": ["--flag"],
            "env": {"A": "1"},
            "secret_env": {"B": {"secret": "s", "key": "k"}},
            "allowed_paths": ["/data"],
            "ttl_seconds": 60,
            "replace": True,
            "image": None,
        }
    )
    assert (name, ttl, replace) == ("mine", 60, True)
    assert (spec.type, spec.package, spec.version, spec.args) == ("npx", "@acme/server", "1.2.3", ("--flag",))
    assert (spec.environment, spec.allowed_paths) == ({"A": "1"}, ("/data",))
    assert spec.secret_environment == {"B": SecretRef("s", "k")}


def test_every_mistake_of_a_config_is_told_at_once_and_no_value_of_the_environment():
    with pytest.raises(Refused) as caught:
        read_config({"server_type": "np", "pakage": "x", "env": {"KEY": 5, "OTHER": "s3cret"}, "ttl_seconds": "soon"})
    told = str(caught.value)
    assert "server_type: 'np' is wrong: give npx, uv, archon, image, remote" in told
    assert "pakage: this field is unknown: give allowed_paths, args" in told
    assert "ttl_seconds: 'soon' is wrong" in told
    assert re.search(r"env: its value is wrong: expected `str`", told)
    assert "s3cret" not in told


@pytest.mark.parametrize(("said", "place"), [("pods", "pod"), ("process", "process"), ("auto", "process")])
def test_servers_run_where_the_settings_say(monkeypatch, said, place):
    monkeypatch.setenv("MCP_LAUNCHER", said)
    assert place_of(Settings.load()) == place


async def test_without_a_cluster_it_says_so_within_seconds(monkeypatch, tmp_path):
    nowhere = {"clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{free_port()}"}}]}
    context = [{"name": "c", "context": {"cluster": "c", "user": "u"}}]
    file = tmp_path / "kubeconfig"
    users = [{"name": "u", "user": {"token": "t"}}]
    file.write_text(yaml.safe_dump({**nowhere, "contexts": context, "users": users, "current-context": "c"}))
    monkeypatch.setenv("KUBECONFIG", str(file))
    monkeypatch.setenv("MCP_LAUNCHER", "pods")
    async with asyncio.timeout(15), MCPKubernetesManager(namespace="archon") as manager:
        found = await manager.sidecar.health_check()
        assert not found["healthy"]
        with pytest.raises(ServerFailed, match=r"the pods of 'archon' are not known: .*set MCP_LAUNCHER=process"):
            await manager.start_external_server(OWN)

"""`slipway gateway` with pods on the API server: the test plays the kubelet, and runs what a pod says."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.client import Client

SLIPWAY = Path(sys.executable).with_name("slipway")


def own_environment() -> dict[str, str]:
    ours = ("MCP_", "KUBE", "REDIS_", "MONGODB_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts programs that end with the test; each writes to a log of its own."""
    running: list[subprocess.Popen[bytes]] = []

    def start(name: str, command: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        with (tmp_path / f"{name}.log").open("wb") as log:
            child = subprocess.Popen(command, env={**own_environment(), **environment}, stdout=log, stderr=log)
        running.append(child)
        return child

    yield start
    for child in running:
        child.terminate()
        child.wait(30)


class Gateway:
    """One life of a gateway."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self._log = log

    def base(self) -> str | None:
        assert self.process.poll() is None, self._log.read_text()
        found = re.search(r'"address":"(http://[^"]+)/mcp"', self._log.read_text())
        return found[1] if found else None

    async def server(self) -> dict[str, Any]:
        async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
            answer = await client.get(f"{self.base()}/servers")
        return next(iter(answer.json()), {})


@pytest.fixture
def start(run, space, tmp_path, soon):
    async def make(name: str, config: Path) -> Gateway:
        environment = {
            "MCP_LAUNCHER": "pods",
            "KUBECONFIG": str(space.kubeconfig),
            "KUBERNETES_NAMESPACE": space.name,
            "MCP_SERVICE_NAME": "gateway",
        }
        command = [str(SLIPWAY), "gateway", "--config", str(config), "--port", "0"]
        made = Gateway(run(name, command, environment), tmp_path / f"{name}.log")
        await soon(made.base, f"{name} listens", seconds=120)
        return made

    return make


async def test_a_declared_server_is_run_served_adopted_after_a_kill_and_ended(space, start, run, tmp_path, soon):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = tmp_path / "gateway.yaml"
    config.write_text(json.dumps({"servers": {"own": {"type": "archon", "transport": "http", "port": port}}}))
    first = await start("first", config)
    pod = (await soon(space.pods, "its pod", seconds=120))[0]

    async def starting() -> bool:
        return (await first.server()).get("phase") == "starting"

    await soon(starting, "it is starting", seconds=120)
    (container,) = pod["spec"]["containers"]
    given = {entry["name"]: entry["value"] for entry in container["env"]}
    run("pod", [str(SLIPWAY), *container["command"][1:]], given)

    def listens() -> bool:
        return '"event":"serving"' in (tmp_path / "pod.log").read_text()

    await soon(listens, "its startup probe would succeed", seconds=120)
    space.run(pod, address="127.0.0.1")

    async def ready(gateway: Gateway) -> bool:
        shown = await gateway.server()
        return shown.get("phase") == "ready" and shown["tools"] > 0

    await soon(lambda: ready(first), "it is ready", seconds=120)
    async with Client(f"{first.base()}/mcp", timeout=60) as client:
        assert all(tool["name"].startswith("own_") for tool in await client.list_tools())

    first.process.kill()
    first.process.wait(10)
    second = await start("second", config)
    await soon(lambda: ready(second), "it is ready again", seconds=120)
    assert space.pod()["metadata"]["uid"] == pod["metadata"]["uid"]

    config.write_text(json.dumps({"servers": {}}))
    await soon(lambda: not space.pods(), "the pod of what is no longer declared is gone", seconds=120)


async def test_a_quota_is_told_by_the_gateway(space, start, tmp_path, soon):
    space.admin.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "few", "namespace": space.name},
            "spec": {"hard": {"pods": "0"}},
        }
    )
    await space.quota_counts()
    config = tmp_path / "gateway.yaml"
    config.write_text(json.dumps({"servers": {"own": {"type": "archon"}}}))
    gateway = await start("gateway", config)

    async def refused() -> bool:
        return "exceeded quota: few" in (await gateway.server()).get("reason", "")

    await soon(refused, "the quota is its reason", seconds=120)
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        answer = (await client.get(f"{gateway.base()}/ready")).json()
    assert "exceeded quota" in json.dumps(answer)

"""External servers as pods of a real node: bridged, through the exec and the attach API, replaced, adopted, gone."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from harness.api import Api as Admin

from app.gateway.launcher import Launched, LaunchError
from app.gateway.pods.api import Api
from app.gateway.pods.launcher import PodLauncher
from app.gateway.pods.options import PodOptions
from app.gateway.spec import LaunchSpec, Limits
from app.gateway.upstreams import UpstreamOptions, open_upstream
from app.kubernetes.access import of_kubeconfig

pytestmark = pytest.mark.cluster

EVERYTHING = ("node", "/srv/npm/node_modules/@modelcontextprotocol/server-everything/dist/index.js")
TIME = ("/usr/bin/python3", "-m", "mcp_server_time")
PYTHON = {"PYTHONPATH": "/srv/python"}
SMALL = Limits(cpu="1", memory="384Mi", cpu_request="20m", memory_request="64Mi")


class Servers:
    """One gateway's servers in a namespace of their own."""

    def __init__(self, launcher: PodLauncher, admin: Admin, namespace: str) -> None:
        self.launcher = launcher
        self._admin = admin
        self.path = f"/api/v1/namespaces/{namespace}/pods"

    async def pods(self) -> list[dict[str, Any]]:
        return await asyncio.to_thread(self._admin.items, self.path)

    async def delete(self, pod: dict[str, Any]) -> None:
        await asyncio.to_thread(self._admin.delete, f"{self.path}/{pod['metadata']['name']}")

    async def until(
        self, server: str, *states: str, wanted: Callable[[Launched], bool] = lambda _: True, seconds: float = 120
    ) -> Launched:
        launched: Launched | None = None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    found = self.launcher._servers.get(server)
                    launched = found.launched() if found else None
                    if launched and launched.state in states and wanted(launched):
                        return launched
                    await asyncio.sleep(0.05)
        except TimeoutError:
            lines = [line async for line in self.launcher.logs(server, lines=20)]
            raise AssertionError(f"{server} is not {states} after {seconds} s: {launched}; {lines}") from None


@pytest.fixture
async def gateways(kubeconfig, api, namespace, images) -> AsyncIterator[Callable[[], Awaitable[Servers]]]:
    """Makes gateways of one name, each a later life of the one before."""
    made: list[PodLauncher] = []

    async def make() -> Servers:
        options = PodOptions(namespace=namespace, gateway=f"gw-{uuid.uuid4().hex[:4]}" if not made else "")
        options = options if not made else replace(options, gateway=made[0].options.gateway)
        options = replace(options, bridge_image=images["servers"], grace=5)
        made.append(PodLauncher(Api(lambda: of_kubeconfig(kubeconfig)), options))
        return Servers(made[-1], api, namespace)

    yield make
    for launcher in made:
        await launcher.close()
    assert len(asyncio.all_tasks()) == 1


@pytest.fixture
async def servers(gateways) -> Servers:
    return await gateways()


def bridged(command: tuple[str, ...], name: str = "server", **more: Any) -> LaunchSpec:
    return LaunchSpec(id=name, type="npx", transport="stdio", command=command, limits=SMALL, **more)


def unbridged(images: dict[str, str], command: tuple[str, ...] = (), name: str = "server", **more: Any) -> LaunchSpec:
    return LaunchSpec(
        id=name, type="image", transport="stdio", command=command, image=images["servers"], limits=SMALL, **more
    )


async def call(launched: Launched, tool: str, **arguments: Any) -> dict[str, Any]:
    """One call of a tool over a connection of its own."""
    upstream = open_upstream(launched.id, launched.endpoint, UpstreamOptions(timeout=30))
    try:
        async with asyncio.timeout(90):
            await upstream.open()
            params = msgspec.Raw(json.dumps({"name": tool, "arguments": arguments}).encode())
            return msgspec.json.decode(await upstream.request("tools/call", params, timeout=30))
    finally:
        await upstream.close()


async def text(launched: Launched, tool: str, **arguments: Any) -> str:
    return (await call(launched, tool, **arguments))["content"][0]["text"]


async def test_a_server_of_npm_is_bridged_watched_and_stopped(servers):
    launched = await servers.launcher.start(bridged(EVERYTHING))
    assert launched.state == "starting"
    running = await servers.until("server", "running")
    assert running.endpoint.url.endswith(":8000/mcp")
    assert "hello from a pod" in await text(running, "echo", message="hello from a pod")
    await servers.launcher.stop("server")
    assert await servers.pods() == []


async def test_a_server_of_pypi_gets_its_environment_and_the_bridge_does_not(servers):
    given = {**PYTHON, "REDIS_URL": "redis://nowhere.invalid", "PRICE": "5$(HOME)$$"}
    spec = bridged(TIME, environment=given)
    await servers.launcher.start(spec)
    running = await servers.until("server", "running")
    assert "datetime" in await text(running, "get_current_time", timezone="UTC")
    (pod,) = await servers.pods()
    names = {entry["name"]: entry["value"] for entry in pod["spec"]["containers"][0]["env"]}
    assert "REDIS_URL" not in names
    assert names["SLIPWAY_CHILD_REDIS_URL"] == given["REDIS_URL"]


async def test_an_image_without_a_bridge_is_spoken_to_through_the_exec_api(servers, images):
    launched = await servers.launcher.start(unbridged(images, EVERYTHING))
    answers = await asyncio.gather(*(text(launched, "echo", message=f"session {n}") for n in range(3)))
    assert [f"session {n}" in answer for n, answer in enumerate(answers)] == [True] * 3
    large = "x" * 3_000_000
    assert large in await text(launched, "echo", message=large)
    running = await servers.until("server", "running")
    lines = await running.endpoint.open()
    await servers.launcher.stop("server")
    assert [line async for line in lines] == []
    with pytest.raises(LaunchError):
        await running.endpoint.open()


async def test_an_image_s_own_entry_point_is_attached_to(servers, images):
    launched = await servers.launcher.start(unbridged(images))
    assert "datetime" in await text(launched, "get_current_time", timezone="UTC")


async def test_a_process_that_outlives_its_connection_ends_with_its_pod(servers, images):
    stubborn = ("/usr/bin/python3", "-I", "-S", "/srv/hostile.py", "ignore-end-of-input")
    await servers.launcher.start(unbridged(images, stubborn))
    running = await servers.until("server", "running")
    (pod,) = await servers.pods()
    lines = await running.endpoint.open()
    assert await anext(aiter(lines)) == b'{"ready":true}'
    await lines.close()
    assert lines.lingers
    replaced = await servers.until("server", "running", wanted=lambda seen: seen.restarts == 1)
    assert [each["metadata"]["uid"] for each in await servers.pods()] != [pod["metadata"]["uid"]]
    again = await replaced.endpoint.open()
    assert await anext(aiter(again)) == b'{"ready":true}'


async def test_a_command_that_is_not_in_the_image_is_told(servers, images):
    await servers.launcher.start(unbridged(images, ("no-such-program",)))
    failed = await servers.until("server", "failed")
    assert "no-such-program" in failed.reason


async def test_an_image_that_is_not_there_is_told_within_seconds(servers, images):
    image = images["servers"].rpartition("@")[0] + ":never-built"
    began = time.monotonic()
    await servers.launcher.start(replace_image(unbridged(images, TIME), image))
    failed = await servers.until("server", "failed", seconds=30)
    assert time.monotonic() - began < 30
    assert "ImagePull" in failed.reason
    assert "never-built" in failed.reason


async def test_a_server_that_keeps_ending_fails_with_what_it_said_last(servers):
    crash = ("/usr/bin/python3", "-I", "-S", "/srv/hostile.py", "crash", "3")
    await servers.launcher.start(bridged(crash))
    failed = await servers.until("server", "failed")
    assert "exit status 3" in failed.reason
    assert "cannot find the flux capacitor" in failed.reason
    lines = [line async for line in servers.launcher.logs("server", lines=50)]
    assert any("flux capacitor" in line for line in lines)


async def test_a_pod_that_is_killed_is_replaced_and_answers_again(servers):
    await servers.launcher.start(bridged(TIME, environment=PYTHON))
    before = await servers.until("server", "running")
    await servers.delete((await servers.pods())[0])
    after = await servers.until("server", "running", wanted=lambda seen: seen.restarts == 1)
    assert after.endpoint != before.endpoint
    assert "datetime" in await text(after, "get_current_time", timezone="UTC")


async def test_the_next_gateway_takes_up_what_runs(gateways):
    first = await gateways()
    spec = bridged(TIME, environment=PYTHON)
    await first.launcher.start(spec)
    before = await first.until("server", "running")
    (pod,) = await first.pods()
    await first.launcher.close()
    second = await gateways()
    (adopted,) = await second.launcher.adopt()
    assert (adopted.state, adopted.digest, adopted.endpoint) == ("running", spec.digest(), before.endpoint)
    assert (await second.launcher.start(spec)).state == "running"
    assert [each["metadata"]["uid"] for each in await second.pods()] == [pod["metadata"]["uid"]]
    assert "datetime" in await text(adopted, "get_current_time", timezone="UTC")
    await second.launcher.stop("server")
    assert await second.pods() == []


def replace_image(spec: LaunchSpec, image: str) -> LaunchSpec:
    return msgspec.structs.replace(spec, image=image)

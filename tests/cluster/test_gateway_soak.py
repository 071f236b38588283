"""A soak of bounded length with pods: servers are started, spoken to, hurt and stopped; then nothing may be left.

`SLIPWAY_TEST_POD_STARTS` and `SLIPWAY_TEST_POD_SESSIONS` make it longer, `SLIPWAY_TEST_SEED` makes it the same again.
With `-s`, it says what was done.
"""

import asyncio
import json
import os
import random
import signal
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from harness.api import Api as Admin

from app.gateway.launcher import Launched, LaunchError
from app.gateway.pods.api import Api
from app.gateway.pods.launcher import PodLauncher
from app.gateway.pods.options import PodOptions
from app.gateway.spec import LaunchSpec, Limits
from app.gateway.upstream import UpstreamFailure, UpstreamUnavailable
from app.gateway.upstreams import UpstreamOptions, open_upstream
from app.kubernetes.access import of_kubeconfig

pytestmark = pytest.mark.cluster

STARTS = int(os.environ.get("SLIPWAY_TEST_POD_STARTS", "16"))
SESSIONS = int(os.environ.get("SLIPWAY_TEST_POD_SESSIONS", "160"))
AT_A_TIME = 4
PATIENCE = 180.0
"""Seconds that anything may take."""
HURT_EVERY = 5.0
"""Seconds, on average."""
KINDS = {
    "pods": "/api/v1/namespaces/{}/pods",
    "services": "/api/v1/namespaces/{}/services",
    "secrets": "/api/v1/namespaces/{}/secrets",
    "config maps": "/api/v1/namespaces/{}/configmaps",
    "network policies": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies",
}
TIME = ("/usr/bin/python3", "-m", "mcp_server_time")
ECHO = ("/usr/bin/python3", "-I", "-S", "/srv/hostile.py")
LIMITS = Limits(cpu="1", memory="384Mi", cpu_request="10m", memory_request="32Mi")
AWAY = (LaunchError, UpstreamUnavailable, UpstreamFailure, EOFError, TimeoutError)


class World:
    """One gateway in a namespace of its own, what was done there, and the objects that are there."""

    def __init__(self, make: Callable[[], PodLauncher], admin: Admin, namespace: str, image: str) -> None:
        self.launcher = make()
        self.chance = random.Random(int(os.environ.get("SLIPWAY_TEST_SEED", time.time())))
        self.done: Counter[str] = Counter()
        self.uids: set[str] = set()
        self._make = make
        self._admin = admin
        self._namespace = namespace
        self._image = image

    async def objects(self) -> dict[str, set[str]]:
        found = {}
        for kind, path in KINDS.items():
            items = await asyncio.to_thread(self._admin.items, path.format(self._namespace))
            found[kind] = {item["metadata"]["name"] for item in items}
        return found

    async def pods(self) -> list[dict[str, Any]]:
        found = await asyncio.to_thread(self._admin.items, KINDS["pods"].format(self._namespace))
        self.uids |= {pod["metadata"]["uid"] for pod in found}
        return found

    def processes(self) -> list[psutil.Process]:
        """Of any pod that there ever was, as the node's kernel has them."""
        found = []
        for process in psutil.process_iter():
            with suppress(OSError, psutil.Error):
                text = Path(f"/proc/{process.pid}/cgroup").read_text()
                if any(uid in text for uid in self.uids) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def spec(self, name: str) -> LaunchSpec:
        """A server behind a bridge of its pod, or one that is spoken to through the exec API."""
        given: dict[str, Any] = {"id": name, "transport": "stdio", "limits": LIMITS}
        if self.chance.random() < 0.5:
            return LaunchSpec(**given, type="npx", command=TIME, environment={"PYTHONPATH": "/srv/python"})
        manner = self.chance.choice(["echo", "echo", "ignore-end-of-input", "daemon", "half-lines"])
        return LaunchSpec(**given, type="image", image=self._image, command=(*ECHO, manner))

    async def next_life(self) -> None:
        """The gateway goes, and its next life finds what runs."""
        old, self.launcher = self.launcher, self._make()
        await old.close()
        self.done["servers taken up"] += len(await self.launcher.adopt())


async def one_server(world: World, name: str, sessions: int) -> None:
    spec = world.spec(name)
    launched = await world.launcher.start(spec)
    world.done["starts"] += 1
    await world.pods()
    for _ in range(sessions):
        try:
            async with asyncio.timeout(30):
                await (call if spec.type == "npx" else speak)(world, launched)
            world.done["sessions answered"] += 1
        except AWAY:
            world.done["sessions refused or torn"] += 1
            await asyncio.sleep(0.2)
        launched = await world.launcher.start(spec)
    async with asyncio.timeout(PATIENCE):
        await world.launcher.stop(name)
    world.done["stopped"] += 1


async def call(world: World, launched: Launched) -> None:
    """A session over HTTP with the bridge in its pod; waits until there is one."""
    while launched.endpoint is None:
        await asyncio.sleep(0.1)
        launched = world.launcher._servers[launched.id].launched()
        if launched.state == "failed":
            raise LaunchError(launched.reason)
    upstream = open_upstream(launched.id, launched.endpoint, UpstreamOptions(timeout=5, handshake_timeout=10))
    try:
        await upstream.open()
        params = msgspec.Raw(b'{"name":"get_current_time","arguments":{"timezone":"UTC"}}')
        for _ in range(world.chance.randint(1, 5)):
            answer = bytes(await upstream.request("tools/call", params, timeout=5))
            if b"datetime" not in answer:
                raise LaunchError("its bridge had no child just then")
            world.done["calls"] += 1
    finally:
        await upstream.close()


async def speak(world: World, launched: Launched) -> None:
    """A session through the exec API: a process of its own, whose streams are ours."""
    lines = await launched.endpoint.open()
    try:
        for number in range(world.chance.randint(0, 10)):
            said = b'{"number":%d}' % number
            await lines.send(said)
            async with asyncio.timeout(3):
                async for line in lines:
                    if line == said:
                        world.done["calls"] += 1
                        break
    finally:
        await lines.close()


async def hurt(world: World) -> None:
    """Delete pods as an eviction does, and kill processes in them, their bridges first of all."""
    while True:
        await asyncio.sleep(HURT_EVERY * world.chance.random() * 2)
        pods = [pod for pod in await world.pods() if not pod["metadata"].get("deletionTimestamp")]
        if not pods:
            continue
        if world.chance.random() < 0.3:
            path = f"{KINDS['pods'].format(world._namespace)}/{world.chance.choice(pods)['metadata']['name']}"
            with suppress(RuntimeError):
                await asyncio.to_thread(world._admin.delete, path)
                world.done["pods killed"] += 1
            continue
        victims = [process for process in world.processes() if process.name() != "pause"]
        with suppress(psutil.Error, IndexError):
            victim = world.chance.choice(victims)
            bridge = "bridge" in victim.cmdline()
            victim.send_signal(signal.SIGKILL)
            world.done["bridges killed" if bridge else "other processes killed"] += 1


async def gone(is_gone: Callable[[], Awaitable[object]], what: str) -> None:
    left: object = None
    for _ in range(round(PATIENCE / 0.2)):
        left = await is_gone()
        if not left:
            return
        await asyncio.sleep(0.2)
    raise AssertionError(f"{what}: {left}")


async def test_servers_that_are_started_hurt_and_stopped_leave_no_object_and_no_process(
    kubeconfig, api, namespace, images
):
    name = f"gw-{uuid.uuid4().hex[:4]}"
    options = PodOptions(
        namespace=namespace, gateway=name, bridge_image=images["servers"], grace=1, after_input=0.5, most_sessions=4
    )
    made: list[PodLauncher] = []

    def make() -> PodLauncher:
        made.append(PodLauncher(Api(lambda: of_kubeconfig(kubeconfig)), options))
        return made[-1]

    world = World(make, api, namespace, images["servers"])
    began = time.monotonic()
    before = await world.objects()
    try:
        for life in range(2):
            if life:
                # What the earlier life began last, it leaves running.
                await world.launcher.start(world.spec("left-over"))
                await world.next_life()
            hurting = asyncio.create_task(hurt(world))
            names = iter([f"s{life}-{number}" for number in range(STARTS // 2)])

            async def work(names=names) -> None:
                for each in names:
                    await one_server(world, each, max(1, SESSIONS // STARTS))

            async with asyncio.TaskGroup() as group:
                for _ in range(AT_A_TIME):
                    group.create_task(work())
            hurting.cancel()
            await asyncio.gather(hurting, return_exceptions=True)
        await world.launcher.stop("left-over")

        async def pods() -> set[str]:
            return (await world.objects())["pods"] - before["pods"]

        async def processes() -> list[psutil.Process]:
            return world.processes()

        await gone(pods, "pods are left")
        await gone(processes, "processes are left in no pod")
        assert await world.objects() == before
    finally:
        for launcher in made:
            await launcher.close()
    assert len(asyncio.all_tasks()) == 1
    done = {"seconds": round(time.monotonic() - began), **dict(sorted(world.done.items())), "pods": len(world.uids)}
    print(json.dumps({**done, "left": 0}))  # noqa: T201
    assert world.done["stopped"] == world.done["starts"] >= STARTS // 2 * 2
    assert world.done["sessions answered"] >= STARTS
    assert world.done["servers taken up"] >= 1

"""A stack in use: clients outside the cluster, through the ingress, while pods come and go and Redis fails over."""

import asyncio
import json
import socket
import ssl
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from engine.definitions import define
from engine.lifecycle import fine, wait_for
from engine.overlays import for_node
from engine.plugins.kube.client import ApiError, Cluster
from engine.stack import Engine, Stack, laid_over, make_project, stack_config
from harness import acme
from harness.enclosure import NODE_ADDRESS
from harness.places import NAME, RUN
from mcp import Client as OfficialClient

from app.client import Client, ClientError, revision_named

pytestmark = pytest.mark.cluster

HERE = Path(__file__).parent
STACK, SPACE, SERVER = "map-server", "mcp-map-server", "mcp-map-server"
HOST = "mcp-map.your-domain.com"
HTTPS, WSS = f"https://{HOST}/mcp", f"wss://{HOST}/mcp"
PLACE = {"latitude": 52.5, "longitude": 13.4}
OLD = revision_named("old")
ELSEWHERE = socket.getaddrinfo


@pytest.fixture(scope="module")
def cluster(kubeconfig) -> Iterator[Cluster]:
    found = Cluster(str(kubeconfig))
    define(found)
    yield found
    found.close()


@pytest.fixture(scope="module")
def stack(cluster, kubeconfig, images, tmp_path_factory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("life")
    push = f"{sys.executable} {HERE / 'engine' / 'hand_over.py'}"
    engine = Engine(folder / "engine", kubeconfig, patience=300, image=images["app"], push=push)
    config = laid_over(stack_config(STACK), for_node(STACK, images))
    found = Stack(engine, make_project(folder / "slipway"), STACK, config)
    try:
        fine(found.up(), "the update")
        yield found
    finally:
        found.destroy()


@pytest.fixture(scope="module")
def trust(stack, tmp_path_factory) -> Path:
    """The root of what the node's ACME server issues: nothing else is trusted by the clients here."""
    context = ssl.create_default_context(cafile=str(RUN / "certificates" / "ca.crt"))
    path = tmp_path_factory.mktemp("trust") / "root.pem"
    path.write_text(httpx.get(acme.ROOT, verify=context, trust_env=False).text, encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def outside(trust, monkeypatch) -> None:
    """The clients' view of the world: the host is the ingress, and only its authority is trusted."""

    def resolve(host, *arguments, **options):
        return ELSEWHERE(NODE_ADDRESS if host in (HOST, HOST.encode()) else host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setenv("SSL_CERT_FILE", str(trust))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)


@asynccontextmanager
async def old_session() -> AsyncIterator[Client]:
    """A session of the era that has them."""
    async with Client(HTTPS, revision=OLD, timeout=20) as client:
        yield client


def state_of(result) -> dict:
    return (
        json.loads(result["content"][0]["text"]) if "structuredContent" not in result else result["structuredContent"]
    )


async def markers(client) -> int:
    state = state_of(await client.call_tool("get_state", {}))
    return len(state["markers"])


async def patiently(call: Callable[[], Awaitable[int]], seconds: float = 60) -> int:
    """What a call answers, once it does: while no Redis leads, none can."""
    end = time.monotonic() + seconds
    while True:
        try:
            return await call()
        except (ClientError, httpx.HTTPError):
            if time.monotonic() > end:
                raise
            await asyncio.sleep(1)


class Load:
    """Sessions that call without a pause, and what became of each call."""

    def __init__(self, sessions: int = 6, pause: float = 0.1) -> None:
        self.sessions = sessions
        self.pause = pause
        self.answered = 0
        self.failures: Counter[str] = Counter()
        self._over = asyncio.Event()

    async def during(self, work: Callable[[], None]) -> None:
        """Call while `work` is done in a thread, and a little longer."""
        async with asyncio.TaskGroup() as group:
            callers = [group.create_task(self._call()) for _ in range(self.sessions)]
            try:
                await asyncio.to_thread(work)
                await asyncio.sleep(1)
            finally:
                self._over.set()
                await asyncio.gather(*callers)

    async def _call(self) -> None:
        async with old_session() as client:
            await client.call_tool("add_marker", PLACE)
            while not self._over.is_set():
                try:
                    if await markers(client) != 1:
                        self.failures["the session's map is another"] += 1
                    self.answered += 1
                except (ClientError, httpx.HTTPError, OSError) as problem:
                    self.failures[f"{type(problem).__name__}: {problem}"] += 1
                await asyncio.sleep(self.pause)


def pods(cluster, component=SERVER) -> list[dict]:
    found = cluster.select("v1", "Pod", SPACE, f"app.kubernetes.io/name={component}")
    return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]


def ready(cluster, component=SERVER) -> list[str]:
    return [
        pod["metadata"]["name"]
        for pod in pods(cluster, component)
        if any(entry["type"] == "Ready" and entry["status"] == "True" for entry in pod["status"].get("conditions", []))
    ]


def rolled_out(cluster) -> bool:
    live = cluster.get("apps/v1", "Deployment", SPACE, SERVER)
    status, wanted = live["status"], live["spec"]["replicas"]
    seen = status.get("observedGeneration") == live["metadata"]["generation"]
    return seen and status.get("updatedReplicas") == status.get("availableReplicas") == status["replicas"] == wanted


@pytest.mark.parametrize(("mode", "revision"), [("auto", "2026-07-28"), ("legacy", "2025-11-25")])
async def test_the_official_client_calls_through_the_ingress_with_a_certificate_of_acme(mode, revision):
    async with OfficialClient(HTTPS, mode=mode) as client:
        assert client.protocol_version == revision
        assert "add_marker" in {tool.name for tool in (await client.list_tools()).tools}
        assert not (await client.call_tool("add_marker", PLACE)).is_error


async def test_a_websocket_goes_through_the_ingress_over_tls():
    async with Client(WSS, timeout=20) as client:
        assert "add_marker" in {tool["name"] for tool in await client.list_tools()}
        assert not (await client.call_tool("add_marker", PLACE)).get("isError")


def test_an_unencrypted_call_is_sent_on_to_tls():
    answer = httpx.get(f"http://{HOST}/mcp", follow_redirects=False)
    assert answer.status_code in (301, 302, 307, 308)
    assert answer.headers["location"].startswith("https://")


async def test_a_session_survives_the_replacement_of_every_pod_without_a_failed_call(cluster, kubectl):
    before = set(ready(cluster))
    assert len(before) >= 2

    def restart() -> None:
        kubectl("-n", SPACE, "rollout", "restart", f"deployment/{SERVER}")
        wait_for(lambda: rolled_out(cluster) and not before & set(ready(cluster)), "the rollout", seconds=180)

    load = Load()
    await load.during(restart)

    assert not load.failures, load.failures
    assert load.answered > 50


async def test_a_deleted_pod_costs_no_session_and_no_call(cluster, kubectl):
    def delete() -> None:
        gone = ready(cluster)[0]
        kubectl("-n", SPACE, "delete", "pod", gone, "--wait=true")
        wait_for(lambda: len(ready(cluster)) >= 2, "the pod's successor", seconds=120)

    load = Load()
    await load.during(delete)
    assert not load.failures, load.failures


async def test_no_session_is_lost_when_redis_fails_over(cluster, kubectl):
    def role(pod: str) -> str:
        return kubectl("-n", SPACE, "exec", pod, "--", "redis-cli", "role").split()[0]

    async with old_session() as client:
        await client.call_tool("add_marker", PLACE)
        master = next(name for name in ready(cluster, "redis") if role(name) == "master")

        def another_leads() -> bool:
            others = [name for name in ready(cluster, "redis") if name != master]
            try:
                return any(role(name) == "master" for name in others)
            except AssertionError:
                return False

        # On a node that takes no pod, it cannot come back before the others have chosen.
        kubectl("cordon", NAME)
        try:
            kubectl("-n", SPACE, "delete", "pod", master, "--grace-period=0", "--force")
            await asyncio.to_thread(wait_for, another_leads, "another master", str, seconds=90)
        finally:
            kubectl("uncordon", NAME)

        assert await patiently(lambda: markers(client)) == 1
        await client.call_tool("add_marker", PLACE)
        assert await markers(client) == 2
    await asyncio.to_thread(wait_for, lambda: len(ready(cluster, "redis")) == 3, "three of Redis", str, seconds=120)


def test_a_drain_leaves_a_pod_that_serves(cluster):
    wait_for(lambda: len(ready(cluster)) >= 2 and rolled_out(cluster), "two pods", seconds=120)

    def evict(pod: str) -> None:
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": SPACE}}
        cluster.request("POST", f"/api/v1/namespaces/{SPACE}/pods/{pod}/eviction", json=body)

    first, *others = ready(cluster)
    evict(first)
    for other in others[1:]:
        evict(other)
    with pytest.raises(ApiError, match="disruption budget"):
        evict(others[0])
    assert len(ready(cluster)) >= 1
    wait_for(lambda: len(ready(cluster)) >= 2, "the successor", seconds=120)


def test_a_new_token_rolls_the_pods_and_ends_the_old_one(stack, cluster):
    def status(token: str | None) -> int:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        request = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        return httpx.post(f"https://{HOST}/messages", json=request, headers=headers).status_code

    def only(token: str, *others: str | None) -> bool:
        return status(token) == 200 and all(status(other) == 401 for other in others)

    before = stack.config
    first, second = "the-first-token-of-a-test", "the-second-token-of-a-test"
    try:
        stack.set_secret("slipway:bearerTokens", first)
        fine(stack.up(), "the update with a token")
        wait_for(lambda: only(first, None), "the first token", seconds=60)
        stack.set_secret("slipway:bearerTokens", second)
        fine(stack.up(), "the update with another token")
        wait_for(lambda: only(second, first, None), "the second token", seconds=60)
    finally:
        stack.configure(before)
        fine(stack.up(), "the update without a token")


def test_what_the_namespace_does_not_allow_is_denied(cluster):
    container = {"name": "it", "image": "slipway:1", "securityContext": {"privileged": True}}
    metadata = {"name": "intruder", "namespace": SPACE}
    intruder = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
    with pytest.raises(ApiError, match="violates PodSecurity"):
        cluster.apply(intruder, "somebody")

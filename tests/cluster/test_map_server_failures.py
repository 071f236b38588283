"""The map server under load, while its pods come and go, Redis fails over and a secret changes: no call may fail."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import httpx
import pytest
from engine.lifecycle import fine, wait_for
from engine.plugins.kube.client import ApiError
from harness.places import NAME
from usage.clients import Load, mark, markers, old_session, patiently
from usage.pods import Pods
from usage.turns import SCHEDULING

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("stack", "outside")]

SPACE, SERVER = "mcp-map-server", "mcp-map-server"
HOST = "mcp-map.your-domain.com"
URL = f"https://{HOST}/mcp"
# The pods that are killed differ from run to run; this says which, should it matter.
SEED = random.randrange(10_000)


@pytest.fixture(scope="module")
def stack(running):
    return running.stack("map-server")


@pytest.fixture
def servers(cluster) -> Pods:
    """The server's pods, when all that should be there are."""
    found = Pods(cluster, SPACE, SERVER)
    wait_for(lambda: len(found.ready()) >= 2 and found.rolled_out(), "two pods", found.names)
    return found


@pytest.fixture
def cordoned(kubectl, turns) -> Callable[[], AbstractContextManager[None]]:
    """For as long as a test says, the node takes no pod; whoever tests beside it, and needs it to, waits."""

    @contextmanager
    def cordoned() -> Iterator[None]:
        with turns.taken(SCHEDULING):
            kubectl("cordon", NAME)
            try:
                yield
            finally:
                kubectl("uncordon", NAME)

    return cordoned


@pytest.fixture
def redis(cluster) -> Pods:
    return Pods(cluster, SPACE, "redis")


async def test_a_session_survives_the_replacement_of_every_pod_without_a_failed_call(servers, kubectl):
    before = servers.names()

    def restart() -> None:
        kubectl("-n", SPACE, "rollout", "restart", f"deployment/{SERVER}")
        # Until the last of them is really gone: calls fail, if any, when it ends and not when it is replaced.
        wait_for(lambda: servers.rolled_out() and not before & servers.names(), "the roll-out")

    load = Load(URL)
    await load.during(restart)
    assert not load.failures, load.failures
    assert load.answered > 50


async def test_pods_deleted_at_random_cost_no_session_and_no_call(servers, kubectl):
    chance = random.Random(SEED)

    def delete() -> None:
        for _ in range(3):
            gone = chance.choice(servers.ready())
            kubectl("-n", SPACE, "delete", "pod", gone, "--wait=true")
            wait_for(lambda: len(servers.ready()) >= 2, "the pod's successor", servers.names)

    load = Load(URL)
    await load.during(delete)
    assert not load.failures, (SEED, load.failures)
    assert load.answered > 50


async def test_no_session_is_lost_when_redis_fails_over(redis, kubectl, cordoned):
    def role(pod: str) -> str:
        return kubectl("-n", SPACE, "exec", pod, "--", "redis-cli", "role").split()[0]

    wait_for(lambda: len(redis.ready()) == 3, "three of Redis", redis.names)
    async with old_session(URL) as client:
        await mark(client)
        master = next(name for name in redis.ready() if role(name) == "master")

        def another_leads() -> bool:
            others = [name for name in redis.ready() if name != master]
            try:
                return any(role(name) == "master" for name in others)
            except AssertionError:
                return False

        # On a node that takes no pod, it cannot come back before the others have chosen.
        with cordoned():
            kubectl("-n", SPACE, "delete", "pod", master, "--grace-period=0", "--force")
            await asyncio.to_thread(wait_for, another_leads, "another master", str)

        assert await patiently(lambda: markers(client)) == 1
        await patiently(lambda: mark(client))
        assert await patiently(lambda: markers(client)) == 2
    await asyncio.to_thread(wait_for, lambda: len(redis.ready()) == 3, "three of Redis", redis.names)


def test_a_drain_leaves_a_pod_that_serves(servers, cluster, cordoned):
    def evict(pod: str) -> None:
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": SPACE}}
        cluster.request("POST", f"/api/v1/namespaces/{SPACE}/pods/{pod}/eviction", json=body)

    # As `kubectl drain` begins: no successor may come up here and change what the budget counts.
    with cordoned():
        *others, last = servers.ready()
        for pod in others:
            evict(pod)
        with pytest.raises(ApiError, match="disruption budget"):
            evict(last)
        assert last in servers.ready()
        assert httpx.get(f"https://{HOST}/health").status_code == 200
    wait_for(lambda: len(servers.ready()) >= 2, "the successor", servers.names)


def test_a_new_token_rolls_the_pods_and_ends_the_old_one(stack, servers):
    def status(token: str | None) -> int:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        # Something short: of a long answer, a proxy written in Go may drop the end when it is busy (golang/go#40747).
        request = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        return httpx.post(f"https://{HOST}/messages", json=request, headers=headers, timeout=20).status_code

    def only(token: str, *others: str | None) -> bool:
        return status(token) == 200 and all(status(other) == 401 for other in others)

    before = stack.config
    first, second = "the-first-token-of-a-test", "the-second-token-of-a-test"
    try:
        stack.set_secret("slipway:bearerTokens", first)
        fine(stack.up(), "the update with a token")
        wait_for(lambda: only(first, None), "the first token")
        stack.set_secret("slipway:bearerTokens", second)
        fine(stack.up(), "the update with another token")
        wait_for(lambda: only(second, first, None), "the second token")
    finally:
        stack.configure(before)
        fine(stack.up(), "the update without a token")

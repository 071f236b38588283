"""Who works, with an API server that is played: two candidates, clocks that nobody trusts, writes that collide."""

import asyncio

import pytest

from app.kubernetes import ApiAway, ApiError
from app.operator.lease import Lease, Pace

FAST = Pace(duration=1.0, give_up=0.6, retry=0.02)


class OneLease:
    """An API server that keeps one lease, and refuses who does not know its latest version."""

    def __init__(self):
        self.lease, self.version, self.away = None, 0, False

    async def request(self, method, path, *, body=None, attempts=1):
        if self.away:
            raise ApiAway("away")
        if method == "GET":
            if self.lease is None:
                raise ApiError(404, "NotFound", "not found")
            return {**self.lease, "spec": {**self.lease["spec"]}}
        if method == "PUT" and body["metadata"]["resourceVersion"] != str(self.version):
            raise ApiError(409, "Conflict", "the object has been modified")
        if method == "POST" and self.lease is not None:
            raise ApiError(409, "AlreadyExists", "already exists")
        self.version += 1
        self.lease = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}}
        return {**self.lease, "spec": {**self.lease["spec"]}}


@pytest.fixture
def server():
    return OneLease()


@pytest.fixture
def candidate(server):
    return lambda identity: Lease(server, namespace="home", name="leader", identity=identity, pace=FAST)


async def test_the_first_takes_it_and_the_second_waits(candidate, server):
    first, second = candidate("a"), candidate("b")
    await first.acquire()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await second.acquire()
    assert first.holds
    assert not second.holds
    assert server.lease["spec"]["holderIdentity"] == "a"


async def test_a_lease_that_nobody_renews_is_taken_after_its_time_and_its_old_holder_holds_nothing(candidate, server):
    first, second = candidate("a"), candidate("b")
    await first.acquire()
    async with asyncio.timeout(10):
        await second.acquire()
    assert server.lease["spec"]["leaseTransitions"] == 1
    assert not first.holds
    async with asyncio.timeout(10):
        await first.keep()
    assert second.holds


async def test_a_holder_gives_up_before_others_may_begin(candidate, server):
    first = candidate("a")
    await first.acquire()
    server.away = True
    began = asyncio.get_running_loop().time()
    await first.keep()
    assert not first.holds
    assert FAST.give_up - 0.1 < asyncio.get_running_loop().time() - began < 10


async def test_a_lease_that_is_let_go_is_free_at_once(candidate, server):
    first, second = candidate("a"), candidate("b")
    await first.acquire()
    await first.release()
    assert server.lease["spec"]["holderIdentity"] == ""
    async with asyncio.timeout(FAST.duration / 2):
        await second.acquire()


async def test_a_renewal_that_came_through_unheard_does_not_keep_it_from_being_let_go(candidate, server):
    first = candidate("a")
    await first.acquire()
    # As if by its own renewal, whose answer was lost.
    server.version += 1
    server.lease["metadata"]["resourceVersion"] = str(server.version)
    await first.release()
    assert server.lease["spec"]["holderIdentity"] == ""


async def test_nobody_lets_go_of_what_another_has_taken(candidate, server):
    first = candidate("a")
    await first.acquire()
    server.lease["spec"]["holderIdentity"] = "b"
    await first.release()
    assert server.lease["spec"]["holderIdentity"] == "b"

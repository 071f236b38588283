"""Several replicas of one gateway agree through Redis on what runs, and on who runs it."""

import asyncio
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from yard import Yard, make_yard

from app.gateway.manager.model import Conflict, UnknownServer
from app.gateway.manager.redis_store import RedisStore
from app.gateway.manager.store import StoreError
from app.gateway.spec import ServerSpec

ONE = ServerSpec(type="npx", package="one")
TWO = ServerSpec(type="npx", package="two")


@pytest.fixture
async def replicas(redis_server):
    """Makes replicas, each with a launcher of its own."""
    async with make_yard() as a:
        yards = {"a": a, "b": Yard()}

        async def make(name, **options):
            store = RedisStore(redis_server.url, owner=name, url=f"http://replica-{name}", lease=0.6, timeout=1)
            manager = await yards[name].manager(store=store, headers={"authorization": "Bearer x"}, **options)
            return manager, yards[name]

        yield make
        await yards["b"].close()


async def test_one_replica_runs_a_server_and_the_other_reaches_it_there(replicas, until):
    (a, yard_a), (b, yard_b) = await replicas("a"), await replicas("b")
    await a.start("calc", ONE)
    await until(lambda: [s.phase for s in a.list()] == [s.phase for s in b.list()] == ["ready"])
    assert list(yard_a.launcher.running) == ["calc"]
    assert yard_b.launcher.started == []
    assert yard_b.upstreams["calc"][0].url == "http://replica-a/servers/calc/mcp"
    assert (a.get("calc").owner, b.get("calc").owner) == (None, "a")
    assert b.get("calc").package == "one@1"


async def test_pods_are_reached_where_they_are(replicas, until):
    (a, _), (b, yard_b) = await replicas("a", place="pod"), await replicas("b", place="pod")
    await a.start("calc", ONE)
    await until(lambda: [s.phase for s in b.list()] == ["ready"])
    assert yard_b.upstreams["calc"][0].url == "http://calc/1"


async def test_starting_the_same_on_both_is_one_server_and_another_spec_a_conflict(replicas, until):
    (a, yard_a), (b, yard_b) = await replicas("a"), await replicas("b")
    assert (await a.start("calc", ONE))[1] is True
    assert (await b.start("calc", ONE))[1] is False
    with pytest.raises(Conflict):
        await b.start("calc", TWO)
    assert len(yard_a.launcher.started + yard_b.launcher.started) == 1


async def test_a_server_is_stopped_and_replaced_from_either_replica(replicas, until):
    (a, yard_a), (b, _) = await replicas("a"), await replicas("b")
    await a.start("calc", ONE)
    await until(lambda: [s.phase for s in b.list()] == ["ready"])
    await b.start("calc", TWO, replace=True)
    await until(lambda: "calc--2" in yard_a.launcher.running and len(yard_a.launcher.running) == 1)
    await until(lambda: b.get("calc").package == "two@1" and b.get("calc").phase == "ready")
    await b.stop("calc")
    assert yard_a.launcher.running == {}
    await until(lambda: a.list() == [])
    with pytest.raises(UnknownServer):
        b.get("calc")


async def test_a_failure_is_told_at_the_other_replica(replicas, until):
    (a, yard_a), (b, _) = await replicas("a"), await replicas("b")
    yard_a.launcher.failing["calc"] = "quota exceeded"
    await a.start("calc", ONE)
    await until(lambda: [(s.phase, s.reason) for s in b.list()] == [("failed", "quota exceeded")])


async def test_when_a_replica_leaves_the_other_takes_over_at_once(replicas, until):
    (a, _), (b, yard_b) = await replicas("a"), await replicas("b")
    await a.start("calc", ONE)
    await until(lambda: [s.phase for s in b.list()] == ["ready"])
    await a.close()
    await until(lambda: list(yard_b.launcher.running) == ["calc"] and b.get("calc").phase == "ready")
    assert b.get("calc").owner is None


async def test_a_replica_that_begins_later_knows_what_runs(replicas, until):
    a, _ = await replicas("a")
    await a.start("calc", ONE)
    await until(lambda: [s.phase for s in a.list()] == ["ready"])
    b, yard_b = await replicas("b")
    await until(lambda: [s.phase for s in b.list()] == ["ready"])
    assert yard_b.launcher.started == []


async def test_while_redis_is_away_servers_run_on_and_no_new_one_is_taken(replicas, redis_server, until):
    a, yard_a = await replicas("a")
    await a.start("calc", ONE)
    await until(lambda: [s.phase for s in a.list()] == ["ready"])
    redis_server.freeze()
    with pytest.raises(StoreError, match="Redis"):
        await a.start("other", TWO)
    with pytest.raises(StoreError):
        await a.store.ping()
    assert a.get("calc").phase == "ready"
    redis_server.thaw()
    await until(lambda: list(yard_a.launcher.running) == ["calc"])

    async with asyncio.timeout(5):
        while not await serves(a.store):  # noqa: ASYNC110 (it is elsewhere)
            await asyncio.sleep(0.05)
    await a.start("other", TWO)
    await until(lambda: [s.phase for s in a.list()] == ["ready", "ready"])


async def serves(store):
    try:
        await store.ping()
    except StoreError:
        return False
    return True

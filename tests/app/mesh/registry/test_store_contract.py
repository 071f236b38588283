"""What every store of agents promises, tried on each of them, and on Redis from two replicas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from app.mesh.model import Record, State
from app.mesh.store import AgentStore, Change, MeshLimits, Move, Put, Snapshot
from app.mesh.stores.memory import MemoryAgents
from app.mesh.stores.redis import RedisAgents
from app.mesh.stores.sqlite import SqliteAgents

MakeRecord = Callable[..., Record]
MakeStores = Callable[..., Awaitable[tuple[AgentStore, AgentStore]]]
OTHER = "another-token-of-the-tests-long-enough"


@pytest.fixture(params=["memory", "sqlite", "redis", "redis of two replicas"])
async def make_stores(request: pytest.FixtureRequest, tmp_path: Any) -> AsyncIterator[MakeStores]:
    opened: list[AgentStore] = []

    async def make(**limits: int) -> tuple[AgentStore, AgentStore]:
        bounds = MeshLimits(**limits)
        if request.param == "memory":
            opened.append(MemoryAgents(bounds))
        elif request.param == "sqlite":
            opened.append(SqliteAgents(tmp_path / "data", bounds))
        else:
            url = request.getfixturevalue("redis_server").url
            opened.extend(RedisAgents(url, bounds, timeout=5) for _ in range(2 if "two" in request.param else 1))
        for store in opened:
            await store.start()
        return opened[0], opened[-1]

    yield make
    for store in opened:
        await store.close()


async def put(store: AgentStore, *records: Record, proved: bool = False) -> list[str]:
    return list(await store.put([Put(record, proved) for record in records]))


async def take(news: AsyncIterator[Any], count: int) -> list[Any]:
    """So many changes; what else comes is left out."""
    found: list[Any] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            item = await anext(news)
            if isinstance(item, Change):
                found.append(item)
    return found


async def snapshot(store: AgentStore) -> Snapshot:
    async with asyncio.timeout(10), store.follow(None) as news:
        item = await anext(news)
        assert isinstance(item, Snapshot)
        return item


async def test_what_is_put_is_found_whole_elsewhere(make_stores: MakeStores, record: MakeRecord) -> None:
    here, there = await make_stores()
    made = record(metadata={"zone": "a"}, owner="team")
    assert await put(here, made) == ["registered"]
    assert await there.find([made.id, "nobody"]) == [made, None]
    assert (await snapshot(there)).agents == [(made, State.HEALTHY)]


async def test_the_same_again_changes_nothing(make_stores: MakeStores, record: MakeRecord) -> None:
    here, there = await make_stores()
    await put(here, record())
    before = (await snapshot(here)).position
    assert await put(there, record()) == ["same"]
    assert (await snapshot(here)).position == before


async def test_the_holder_of_the_token_may_change_what_it_told(make_stores: MakeStores, record: MakeRecord) -> None:
    here, there = await make_stores()
    await put(here, record())
    moved = record(endpoint="http://127.0.0.1:9001")
    assert await put(there, moved) == ["changed"]
    assert await here.find([moved.id]) == [moved]


async def test_another_token_does_not_take_an_agent_that_lives(make_stores: MakeStores, record: MakeRecord) -> None:
    here, there = await make_stores()
    await put(here, record())
    assert await put(there, record(token=OTHER, endpoint="http://127.0.0.1:1")) == ["taken"]
    assert (await here.find([record().id]))[0] == record()


async def test_the_owner_may_change_its_agent_without_the_token(make_stores: MakeStores, record: MakeRecord) -> None:
    here, there = await make_stores()
    await put(here, record(owner="team"))
    assert await put(there, record(owner="team", token=OTHER), proved=True) == ["changed"]


async def test_a_name_belongs_to_one_subject_until_its_last_agent_leaves(
    make_stores: MakeStores, record: MakeRecord
) -> None:
    here, there = await make_stores()
    first, second = record(replica="a", owner="team"), record(replica="b", owner="team")
    theirs = record(replica="c", owner="others")
    assert await put(here, first, second, theirs) == ["registered", "registered", "foreign"]
    await there.remove([first.id])
    assert await put(here, theirs) == ["foreign"]
    await there.remove([second.id])
    assert await put(here, theirs) == ["registered"]


async def test_an_agent_that_is_gone_may_be_replaced_by_anyone(make_stores: MakeStores, record: MakeRecord) -> None:
    here, there = await make_stores()
    await put(here, record())
    await here.expire([Move(record().id, "gone")])
    assert await put(there, record(token=OTHER)) == ["registered"]
    assert (await snapshot(here)).agents == [(record(token=OTHER), State.HEALTHY)]


async def test_no_more_are_kept_than_may_be(make_stores: MakeStores, record: MakeRecord) -> None:
    here, there = await make_stores(max_agents=2)
    three = [record(replica=f"r{number}") for number in range(3)]
    assert await put(here, *three) == ["registered", "registered", "full"]
    assert await put(there, three[0]) == ["same"]
    await there.remove([three[0].id])
    assert await put(here, three[2]) == ["registered"]


async def test_changes_are_told_everywhere_in_one_order(make_stores: MakeStores, record: MakeRecord) -> None:
    here, there = await make_stores()
    one, two = record(replica="a"), record(replica="b")
    async with here.follow(None) as mine, there.follow(None) as others:
        assert isinstance(await anext(mine), Snapshot)
        assert isinstance(await anext(others), Snapshot)
        await put(here, one)
        await put(there, two)
        await there.expire([Move(one.id, "degraded")])
        await here.expire([Move(one.id, "recovered"), Move(two.id, "gone")])
        await here.remove([one.id])
        await there.expire([Move(two.id, "forgotten")])
        told = [await take(news, 7) for news in (mine, others)]
    assert told[0] == told[1]
    assert [(change.kind, change.id) for change in told[0]] == [
        ("registered", one.id),
        ("registered", two.id),
        ("degraded", one.id),
        ("recovered", one.id),
        ("gone", two.id),
        ("deregistered", one.id),
        ("forgotten", two.id),
    ]
    assert told[0][0].record == one
    assert await here.find([one.id, two.id]) == [None, None]


async def test_who_follows_again_gets_what_it_missed(make_stores: MakeStores, record: MakeRecord) -> None:
    here, there = await make_stores()
    await put(here, record())
    position = (await snapshot(here)).position
    await put(here, record(replica="b"), record(replica="c"))
    async with there.follow(position) as news:
        missed = await take(news, 2)
    assert [change.id for change in missed] == [record(replica="b").id, record(replica="c").id]


async def test_who_was_away_for_too_long_begins_anew(make_stores: MakeStores, record: MakeRecord) -> None:
    here, there = await make_stores()
    await put(here, record())
    async with asyncio.timeout(10), there.follow("of-another-time-1") as news:
        item = await anext(news)
    assert isinstance(item, Snapshot)
    assert [change.kind for change in item.log] == ["registered"]


async def test_one_transition_is_told_once_however_many_replicas_propose_it(
    make_stores: MakeStores, record: MakeRecord
) -> None:
    here, there = await make_stores()
    await put(here, record())
    async with here.follow((await snapshot(here)).position) as news:
        await asyncio.gather(*(store.expire([Move(record().id, "degraded")]) for store in (here, there, here)))
        await here.expire([Move(record().id, "gone")])
        assert [change.kind for change in await take(news, 2)] == ["degraded", "gone"]


async def test_an_agent_that_another_replica_heard_does_not_expire(make_stores: MakeStores, record: MakeRecord) -> None:
    here, there = await make_stores()
    await put(here, record())
    await there.beat([record().id], 1.0)
    await here.expire([Move(record().id, "degraded", silent=30), Move(record().id, "gone", silent=30)])
    assert (await snapshot(here)).agents == [(record(), State.HEALTHY)]


async def test_states_outlive_who_told_them(make_stores: MakeStores, record: MakeRecord) -> None:
    here, there = await make_stores()
    await put(here, record(replica="a"), record(replica="b"))
    await here.expire([Move(record(replica="b").id, "degraded")])
    states = {agent.replica: state for agent, state in (await snapshot(there)).agents}
    assert states == {"a": State.HEALTHY, "b": State.DEGRADED}


async def test_unknown_ids_do_no_harm(make_stores: MakeStores) -> None:
    here, _ = await make_stores()
    await here.remove(["0" * 32])
    await here.beat(["0" * 32], 1.0)
    await here.expire([Move("0" * 32, "gone"), Move("0" * 32, "forgotten")])
    assert (await snapshot(here)).agents == []


async def test_a_store_answers_when_it_is_there(make_stores: MakeStores) -> None:
    here, _ = await make_stores()
    await here.ping()

"""What every session store promises, tried on each of them, and on Redis from two replicas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise

import pytest

from app.sessions.memory import MemoryStore
from app.sessions.redis import RedisStore
from app.sessions.store import (
    LimitExceeded,
    Session,
    SessionStore,
    StoreLimits,
    TooManySessions,
    UnknownEvent,
    UnknownSession,
    new_session_id,
    stream_start,
)

MakeStores = Callable[..., Awaitable[tuple[SessionStore, SessionStore]]]
"""Makes a store, and the same store as another replica sees it."""


@pytest.fixture(params=["memory", "redis", "redis of two replicas"])
async def make_stores(request: pytest.FixtureRequest) -> AsyncIterator[MakeStores]:
    opened: list[SessionStore] = []

    async def make(**limits: float) -> tuple[SessionStore, SessionStore]:
        bounds = StoreLimits(**limits)
        if request.param == "memory":
            opened.append(MemoryStore(bounds))
            return opened[-1], opened[-1]
        url = request.getfixturevalue("redis_server" if "max_sessions" in limits else "shared_redis").url
        replicas = 2 if "two" in request.param else 1
        opened.extend(RedisStore(url, bounds, timeout=5) for _ in range(replicas))
        return opened[0], opened[-1]

    yield make
    for store in opened:
        await store.close()


def a_session(**changes: object) -> Session:
    return Session(id=new_session_id(), revision="2025-11-25", **changes)


async def take(events: AsyncIterator[object], count: int) -> list[object]:
    async with asyncio.timeout(10):
        return [await anext(events) for _ in range(count)]


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 what is waited for happens in another process
            await asyncio.sleep(0.01)


async def test_a_created_session_is_loaded_whole(make_stores: MakeStores) -> None:
    here, there = await make_stores()
    session = a_session(
        owner="alice",
        client_info={"name": "client", "version": "1"},
        client_capabilities={"sampling": {}},
        log_level="warning",
        subscriptions={"file:///a", "file:///b"},
    )
    await here.create(session)
    loaded = await there.load(session.id)
    assert loaded is not None
    for name in ("id", "revision", "owner", "client_info", "client_capabilities", "log_level", "subscriptions"):
        assert getattr(loaded, name) == getattr(session, name)
    assert loaded.initialized is False
    assert loaded.created == session.created


async def test_a_session_that_never_was_is_none(make_stores: MakeStores) -> None:
    here, _ = await make_stores()
    assert await here.load(new_session_id()) is None


async def test_a_saved_change_is_seen_elsewhere_although_it_was_loaded_there_before(make_stores: MakeStores) -> None:
    here, there = await make_stores()
    session = a_session()
    await here.create(session)
    await there.load(session.id)
    own = await here.load(session.id)
    own.initialized = True
    own.log_level = "error"
    own.subscriptions.add("file:///a")
    await here.save(own)

    async def seen() -> bool:
        loaded = await there.load(session.id)
        return (loaded.initialized, loaded.log_level, loaded.subscriptions) == (True, "error", {"file:///a"})

    await eventually(seen)


async def test_changes_made_in_two_places_are_both_kept(make_stores: MakeStores) -> None:
    here, there = await make_stores()
    session = a_session(subscriptions={"file:///old"})
    await here.create(session)
    first, second = await here.load(session.id), await there.load(session.id)
    first.subscriptions.add("file:///new")
    second.log_level = "debug"
    second.subscriptions.discard("file:///old")
    await here.save(first)
    await there.save(second)

    async def seen() -> bool:
        loaded = await here.load(session.id)
        return (loaded.log_level, loaded.subscriptions) == ("debug", {"file:///new"})

    await eventually(seen)


async def test_an_ended_session_is_gone_everywhere(make_stores: MakeStores) -> None:
    here, there = await make_stores()
    session = a_session()
    await here.create(session)
    await there.load(session.id)
    await here.append(session.id, "main", b"{}")
    assert await here.end(session.id) is True
    assert await here.end(session.id) is False

    async def gone() -> bool:
        return await there.load(session.id) is None

    await eventually(gone)
    with pytest.raises(UnknownSession):
        await there.append(session.id, "main", b"{}")
    with pytest.raises(UnknownSession):
        await there.read_after(session.id, "main:0")


async def test_saving_an_ended_session_does_not_bring_it_back(make_stores: MakeStores) -> None:
    here, there = await make_stores()
    session = a_session()
    await here.create(session)
    loaded = await here.load(session.id)
    await there.end(session.id)
    loaded.log_level = "error"
    with pytest.raises(UnknownSession):
        await here.save(loaded)
    assert await there.load(session.id) is None


async def test_a_session_ends_by_itself_when_it_is_not_touched(make_stores: MakeStores) -> None:
    here, there = await make_stores(ttl=0.4)
    session = a_session()
    await here.create(session)
    await here.append(session.id, "main", b"{}")

    async def gone() -> bool:
        return await here.load(session.id) is None and await there.load(session.id) is None

    await eventually(gone)
    with pytest.raises(UnknownSession):
        await here.append(session.id, "main", b"{}")


async def test_a_session_that_is_touched_lives_on(make_stores: MakeStores) -> None:
    here, there = await make_stores(ttl=0.8)
    used, unused = a_session(), a_session()
    await here.create(used)
    await here.create(unused)

    async def unused_is_gone() -> bool:
        here.touch(used.id)
        return await there.load(unused.id) is None

    await eventually(unused_is_gone)
    assert await here.load(used.id) is not None
    assert await there.load(used.id) is not None


async def test_a_session_above_the_cap_is_refused_until_one_ends(make_stores: MakeStores) -> None:
    here, there = await make_stores(max_sessions=2)
    first = a_session()
    await here.create(first)
    await there.create(a_session())
    with pytest.raises(TooManySessions):
        await here.create(a_session())
    await there.end(first.id)
    await here.create(a_session())


async def test_more_subscriptions_than_the_cap_are_refused(make_stores: MakeStores) -> None:
    here, _ = await make_stores(max_subscriptions=2)
    session = a_session(subscriptions={"a:1", "a:2"})
    await here.create(session)
    loaded = await here.load(session.id)
    loaded.subscriptions.add("a:3")
    with pytest.raises(LimitExceeded):
        await here.save(loaded)


async def test_events_of_a_stream_are_numbered_without_a_gap_beside_those_of_others(make_stores: MakeStores) -> None:
    here, there = await make_stores()
    session = a_session()
    await here.create(session)
    ids = []
    for place in (here, there, here):
        ids.append((await place.append(session.id, "main", b"m")).id)
        ids.append((await place.append(session.id, "post.7", b"p")).id)
    assert ids == ["main:1", "post.7:1", "main:2", "post.7:2", "main:3", "post.7:3"]


async def test_read_after_gives_the_rest_of_that_stream_only(make_stores: MakeStores) -> None:
    here, there = await make_stores()
    session = a_session()
    await here.create(session)
    for number in range(4):
        await here.append(session.id, "main", b"m%d" % number)
        await here.append(session.id, "other", b"\x00 \xff%d" % number, last=number == 3)
    assert [event.data for event in await there.read_after(session.id, "main:2")] == [b"m2", b"m3"]
    others = await there.read_after(session.id, stream_start("other"))
    assert [(event.id, event.data, event.last) for event in others] == [
        ("other:1", b"\x00 \xff0", False),
        ("other:2", b"\x00 \xff1", False),
        ("other:3", b"\x00 \xff2", False),
        ("other:4", b"\x00 \xff3", True),
    ]
    assert await there.read_after(session.id, "main:4") == []


@pytest.mark.parametrize(
    "foreign", ["main:3", "other:1", "main", "main:", "main:-1", "main:x", "ma in:1", "", "main:1:2"]
)
async def test_an_event_id_of_somewhere_else_is_refused(make_stores: MakeStores, foreign: str) -> None:
    here, _ = await make_stores()
    session = a_session()
    await here.create(session)
    await here.append(session.id, "main", b"1")
    await here.append(session.id, "main", b"2")
    with pytest.raises(UnknownEvent):
        await here.read_after(session.id, foreign)
    with pytest.raises(UnknownEvent):
        async with here.follow_events(session.id, "main", after=foreign):
            pass


@pytest.mark.parametrize("limits", [{"max_events": 3}, {"max_bytes": 30}])
async def test_the_oldest_events_are_dropped_at_the_cap_and_resuming_before_them_is_refused(
    make_stores: MakeStores, limits: dict[str, int]
) -> None:
    here, there = await make_stores(**limits)
    session = a_session()
    await here.create(session)
    await here.append(session.id, "other", b"o" * 10, last=True)
    for _ in range(5):
        await here.append(session.id, "main", b"m" * 10)
    assert [event.sequence for event in await there.read_after(session.id, "main:2")] == [3, 4, 5]
    with pytest.raises(UnknownEvent):
        await there.read_after(session.id, "main:1")
    with pytest.raises(UnknownEvent):
        await there.read_after(session.id, "other:1")


async def test_an_event_larger_than_the_cap_is_kept_alone(make_stores: MakeStores) -> None:
    here, there = await make_stores(max_bytes=30)
    session = a_session()
    await here.create(session)
    await here.append(session.id, "main", b"small")
    await here.append(session.id, "main", b"large" * 100)
    assert [event.data for event in await there.read_after(session.id, "main:1")] == [b"large" * 100]


async def test_a_follower_gets_what_it_missed_and_then_what_comes_from_any_replica(make_stores: MakeStores) -> None:
    here, there = await make_stores()
    session = a_session()
    await here.create(session)
    for number in range(3):
        await here.append(session.id, "main", b"%d" % number)
    async with there.follow_events(session.id, "main", after="main:1") as events:
        assert [event.data for event in await take(events, 2)] == [b"1", b"2"]
        await here.append(session.id, "main", b"3")
        await here.append(session.id, "elsewhere", b"not this")
        await there.append(session.id, "main", b"4")
        assert [event.id for event in await take(events, 2)] == ["main:4", "main:5"]


async def test_a_follower_from_now_on_gets_nothing_old(make_stores: MakeStores) -> None:
    here, there = await make_stores()
    session = a_session()
    await here.create(session)
    await here.append(session.id, "main", b"old")
    async with there.follow_events(session.id, "main") as events:
        await here.append(session.id, "main", b"new")
        assert [event.data for event in await take(events, 1)] == [b"new"]


async def test_a_follower_loses_and_doubles_nothing_while_many_replicas_write(make_stores: MakeStores) -> None:
    here, there = await make_stores()
    session = a_session()
    await here.create(session)

    async def write(store: SessionStore, name: str) -> None:
        for number in range(100):
            await store.append(session.id, "main", f"{name}{number}".encode())

    async def follow(after: str) -> list[int]:
        async with there.follow_events(session.id, "main", after=after) as events:
            return [event.sequence for event in await take(events, 300 - int(after.partition(":")[2]))]

    early = asyncio.create_task(follow("main:0"))
    writers = [asyncio.create_task(write(store, name)) for store, name in ((here, "a"), (there, "b"), (here, "c"))]
    late = [asyncio.create_task(follow("main:0")) for _ in range(3)]
    await asyncio.gather(*writers)
    for sequences in await asyncio.gather(early, *late):
        assert sequences == list(range(1, 301))


async def test_a_follower_that_does_not_read_gets_everything_later(make_stores: MakeStores) -> None:
    here, there = await make_stores()
    session = a_session()
    await here.create(session)
    async with there.follow_events(session.id, "main") as events:
        for _ in range(300):
            await here.append(session.id, "main", b"x" * 2000)
        sequences = [event.sequence for event in await take(events, 300)]
    assert sequences == list(range(1, 301))


async def test_a_follower_too_slow_for_the_log_is_told(make_stores: MakeStores) -> None:
    here, there = await make_stores(max_events=100)
    session = a_session()
    await here.create(session)
    async with there.follow_events(session.id, "main") as events:
        await here.append(session.id, "main", b"x")
        await take(events, 1)
        for _ in range(300):
            await here.append(session.id, "main", b"x" * 10)
        received = []
        with pytest.raises(UnknownEvent):
            async with asyncio.timeout(10):
                received.extend([event.sequence async for event in events])
    assert all(after == before + 1 for before, after in pairwise(received))


async def test_following_ends_after_the_last_event_of_the_stream(make_stores: MakeStores) -> None:
    here, there = await make_stores()
    session = a_session()
    await here.create(session)
    async with there.follow_events(session.id, "post.1", after="post.1:0") as events:
        await here.append(session.id, "post.1", b"progress")
        await here.append(session.id, "post.1", b"answer", last=True)
        async with asyncio.timeout(10):
            assert [event.data async for event in events] == [b"progress", b"answer"]
    async with here.follow_events(session.id, "post.1", after="post.1:1") as events, asyncio.timeout(10):
        assert [event.data async for event in events] == [b"answer"]


async def test_following_ends_when_the_session_ends(make_stores: MakeStores) -> None:
    here, there = await make_stores()
    session = a_session()
    await here.create(session)
    async with there.follow_events(session.id, "main") as events:
        await here.end(session.id)
        async with asyncio.timeout(10):
            assert [event async for event in events] == []


async def test_a_session_that_never_was_cannot_be_followed(make_stores: MakeStores) -> None:
    here, _ = await make_stores()
    with pytest.raises(UnknownSession):
        async with here.follow_events(new_session_id(), "main"):
            pass
    with pytest.raises(UnknownSession):
        async with here.follow_events(new_session_id(), "main", after="main:0"):
            pass


async def test_what_is_published_reaches_every_follower_of_the_channel_and_no_other(make_stores: MakeStores) -> None:
    here, there = await make_stores()
    name = new_session_id()
    async with there.follow(name) as first, here.follow(name) as second, here.follow(f"{name}.other") as other:
        await here.publish(name, b"one")
        await there.publish(name, b"two \x00\xff")
        await there.publish(f"{name}.other", b"three")
        assert await take(first, 2) == await take(second, 2) == [b"one", b"two \x00\xff"]
        assert await take(other, 1) == [b"three"]


async def test_a_channel_can_be_followed_again_after_it_was_left(make_stores: MakeStores) -> None:
    here, there = await make_stores()
    name = new_session_id()
    for _ in range(3):
        async with there.follow(name) as messages:
            await here.publish(name, b"hello")
            assert await take(messages, 1) == [b"hello"]


async def test_a_store_answers_a_ping(make_stores: MakeStores) -> None:
    here, _ = await make_stores()
    await here.ping()


async def test_what_is_kept_is_seen_by_every_replica_until_it_is_replaced(make_stores: MakeStores) -> None:
    here, there = await make_stores()
    key = new_session_id()
    assert await there.kept(key) is None
    await here.keep(key, b"one \x00\xff", 60)
    assert await there.kept(key) == b"one \x00\xff"
    await there.keep(key, b"two", 60)
    assert await here.kept(key) == b"two"


async def test_what_is_kept_is_gone_when_its_time_is_over(make_stores: MakeStores) -> None:
    here, there = await make_stores()
    key = new_session_id()
    await here.keep(key, b"one", 0.001)
    async with asyncio.timeout(10):
        while await there.kept(key) is not None:
            await there.ping()

"""Watching a map: nothing is missed, nothing is told twice, and the slow get it summed up."""

from __future__ import annotations

import asyncio
import json

import pytest

from app.sessions.store import StoreUnavailable
from app.toolsets.map.model import Edit, Patch, Position, Snapshot, encoded
from app.toolsets.map.rooms import Rooms

POINT = {"latitude": 0, "longitude": 0, "label": "", "description": "", "color": "#000000"}


def add(name: str) -> Edit:
    return Edit("add", "marker", name, encoded(POINT))


def label(name: str, text: str) -> Edit:
    return Edit("set", "marker", name, encoded({"label": text}))


async def test_the_whole_map_comes_first_and_then_what_changes(store, name):
    await store.edit(name, add("a"))
    async with Rooms(store).watch(name) as watcher:
        first = await watcher.next()
        assert isinstance(first, Snapshot)
        assert list(first.entries["marker"]) == ["a"]
        edited = await store.edit(name, label("a", "x"))
        told = await watcher.next()
        assert isinstance(told, Patch)
        assert told.position == edited.position
        assert json.loads(told.encode()) == {"version": 2, "markers": {"a": {"label": "x"}}}


async def test_who_comes_back_gets_only_what_was_missed(store, name):
    seen = (await store.edit(name, add("a"))).position
    await store.edit(name, label("a", "x"))
    await store.edit(name, Edit("remove", "marker", "a"))
    async with Rooms(store).watch(name, seen) as watcher:
        told = await watcher.next()
        assert json.loads(told.encode()) == {"version": 3, "markers": {"a": None}}


@pytest.mark.parametrize("seen", [Position("other", 1), Position("0", 0)])
async def test_who_comes_back_with_a_place_that_is_not_known_gets_the_whole_map(store, name, seen):
    await store.edit(name, add("a"))
    async with Rooms(store).watch(name, seen) as watcher:
        assert isinstance(await watcher.next(), Snapshot)


async def test_who_comes_back_up_to_date_hears_of_the_next_change_only(store, name):
    seen = (await store.edit(name, add("a"))).position
    async with Rooms(store).watch(name, seen) as watcher:
        waiting = asyncio.create_task(watcher.next())
        await store.edit(name, label("a", "x"))
        assert (await waiting).position.version == 2


async def test_what_a_slow_watcher_has_not_fetched_is_one_patch(store, name):
    seen = (await store.edit(name, add("a"))).position
    rooms = Rooms(store)
    async with rooms.watch(name, seen) as slow, rooms.watch(name, seen) as fast:
        for number in range(100):
            last = (await store.edit(name, label("a", str(number)))).position
        while (told := await fast.next()).position != last:
            pass
        told = await slow.next()
        assert told.position == last
        assert json.loads(told.encode()) == {"version": 101, "markers": {"a": {"label": "99"}}}


async def test_a_watcher_so_slow_that_the_log_is_gone_gets_the_whole_map(make_store, name):
    store = await make_store(max_log=3)
    seen = (await store.edit(name, add("a"))).position
    for number in range(10):
        await store.edit(name, label("a", str(number)))
    async with Rooms(store).watch(name, seen) as watcher:
        told = await watcher.next()
        assert isinstance(told, Snapshot)
        assert told.position.version == 11


async def test_a_map_that_ended_and_began_anew_is_told_as_a_whole(store, name):
    await store.edit(name, add("a"))
    async with Rooms(store).watch(name) as watcher:
        await watcher.next()
        await end(store, name)
        await store.edit(name, add("b"))
        told = await watcher.next()
        assert isinstance(told, Snapshot)
        assert list(told.entries["marker"]) == ["b"]


async def end(store, name) -> None:
    """As when its time to live passes."""
    if hasattr(store, "_client"):
        await store._client.execute("DEL", f"map_state:{name}")
    else:
        del store._maps[name]


async def test_watchers_are_ended_when_the_server_drains_and_later_ones_at_once(store, name):
    rooms = Rooms(store)
    async with rooms.watch(name) as watcher:
        await watcher.next()
        waiting = asyncio.create_task(watcher.next())
        await rooms.end()
        assert await waiting is None
    async with rooms.watch(name) as late:
        assert await late.next() is None


async def test_nothing_is_lost_when_fetching_is_cut_short(store, name, monkeypatch):
    await store.edit(name, add("a"))
    begun = asyncio.Event()

    async def never(*_: object, **__: object) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with Rooms(store).watch(name) as watcher:
        with monkeypatch.context() as patched:
            patched.setattr(store, "read", never)
            fetching = asyncio.create_task(watcher.next())
            await begun.wait()
            fetching.cancel()
            await asyncio.gather(fetching, return_exceptions=True)
        assert isinstance(await watcher.next(), Snapshot)


async def test_what_changes_while_a_watcher_catches_up_comes_after_what_it_missed(store, name, monkeypatch):
    seen = (await store.edit(name, add("a"))).position
    await store.edit(name, add("missed"))
    rooms = Rooms(store)
    asked = store.changes

    async def slowly(session: str, after: Position | None):
        found = await asked(session, after)
        if after == seen:  # the answer is on its way while the map goes on
            await store.edit(name, add("later"))
            while (await other.next()).position.version != 3:
                pass
        return found

    async with rooms.watch(name) as other:
        await other.next()
        monkeypatch.setattr(store, "changes", slowly)
        async with rooms.watch(name, seen) as watcher:
            told = await watcher.next()
            assert list(json.loads(told.encode())["markers"]) == ["missed", "later"]


async def test_a_store_that_is_away_is_said_to_who_wants_to_watch(store, name, monkeypatch):
    async def away(*_: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(store, "changes", away)
    with pytest.raises(StoreUnavailable):
        async with Rooms(store).watch(name):
            pass


async def test_a_room_that_all_have_left_is_closed(store, name):
    rooms = Rooms(store)
    async with rooms.watch(name), rooms.watch(name):
        assert len(rooms._rooms) == 1
    assert rooms._rooms == {}

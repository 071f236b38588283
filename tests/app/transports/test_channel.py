"""The switchboard: replies and cancellations find their call, and only theirs."""

from __future__ import annotations

import asyncio
import json

import msgspec
import pytest

from app.protocol.calls import ClientRefused
from app.protocol.errors import ProtocolError
from app.protocol.messages import decode_message
from app.sessions.memory import MemoryStore
from app.sessions.store import Session
from app.transports._channel import Switchboard


@pytest.fixture
async def boards():
    """Two replicas on one store, with the session `s`."""
    store = MemoryStore()
    await store.create(Session(id="s", revision="2025-11-25"))
    pair = Switchboard(store), Switchboard(store)
    for board in pair:
        await board.start()
    yield pair
    for board in pair:
        await board.close()


async def asked(store) -> dict:
    async with store.follow_events("s", "main", after="main:0") as events, asyncio.timeout(5):
        return json.loads((await anext(events)).data)


def reply(**members: object):
    return decode_message(json.dumps({"jsonrpc": "2.0", **members}).encode())


@pytest.mark.parametrize("arrives_at", [0, 1])
async def test_a_reply_finds_its_call_from_any_replica(boards, arrives_at) -> None:
    call = asyncio.create_task(boards[0].channel("s").request("roots/list", None))
    request = await asked(boards[0].store)
    assert request["method"] == "roots/list"
    assert "params" not in request
    await boards[arrives_at].reply("s", reply(id=request["id"], result={"roots": []}))
    assert msgspec.json.decode(await call) == {"roots": []}


async def test_an_error_of_the_client_reaches_the_call(boards) -> None:
    call = asyncio.create_task(boards[0].channel("s").request("roots/list", {}))
    request = await asked(boards[0].store)
    await boards[1].reply("s", reply(id=request["id"], error={"code": -1, "message": "no"}))
    with pytest.raises(ClientRefused, match="no"):
        await call


async def test_a_reply_from_another_session_is_ignored(boards) -> None:
    call = asyncio.create_task(boards[0].channel("s").request("roots/list", {}, timeout=0.2))
    request = await asked(boards[0].store)
    await boards[0].reply("other", reply(id=request["id"], result={}))
    with pytest.raises(TimeoutError, match="roots/list"):
        await call


@pytest.mark.parametrize("strange", [7, "x", "0123456789abcdef-1", "-", "a" * 200])
async def test_a_reply_that_nobody_waits_for_is_ignored(boards, strange) -> None:
    await boards[0].reply("s", reply(id=strange, result={}))


async def test_a_request_that_is_given_up_is_withdrawn(boards) -> None:
    with pytest.raises(TimeoutError):
        await boards[0].channel("s").request("roots/list", {}, timeout=0.01)
    asked_for, withdrawn = [json.loads(event.data) for event in await boards[0].store.read_after("s", "main:0")]
    assert withdrawn["method"] == "notifications/cancelled"
    assert withdrawn["params"]["requestId"] == asked_for["id"]


@pytest.mark.parametrize("arrives_at", [0, 1])
async def test_a_cancellation_finds_its_call_from_any_replica(boards, arrives_at) -> None:
    running = asyncio.create_task(asyncio.sleep(60))
    call = boards[0].begin("s", 1, running)
    await boards[arrives_at].cancel("other", 1)
    await boards[arrives_at].cancel("s", "1")
    await boards[arrives_at].cancel("s", 1)
    with pytest.raises(asyncio.CancelledError):
        await running
    assert call.cancelled


async def test_every_call_of_a_session_can_be_cancelled_at_once(boards) -> None:
    tasks = [asyncio.create_task(asyncio.sleep(60)) for _ in range(3)]
    for number, task in enumerate(tasks):
        boards[number % 2].begin("s", number, task)
    other = boards[0].begin("other", 1)
    await boards[0].cancel_all("s")
    await asyncio.wait(tasks)
    assert not other.cancelled


async def test_an_id_is_taken_until_its_call_ends(boards) -> None:
    boards[0].begin("s", 1)
    with pytest.raises(ProtocolError, match="its own"):
        boards[0].begin("s", 1)
    boards[0].begin("s", "1")
    boards[0].begin("t", 1)
    boards[0].finish("s", 1)
    boards[0].begin("s", 1)


async def test_a_changed_resource_is_told_to_those_who_subscribed_wherever_they_did(boards) -> None:
    from app.protocol.changes import Change
    from app.transports._news import SessionNews

    news = SessionNews(boards[0].channel("s"))
    news.put(Change("resource", "file:///a"))
    session = await boards[1].store.load("s")
    session.subscriptions.add("file:///a")
    await boards[1].store.save(session)
    news.put(Change("resource", "file:///b"))
    news.put(Change("resource", "file:///a"))
    assert await asked(boards[0].store) == {
        "jsonrpc": "2.0",
        "method": "notifications/resources/updated",
        "params": {"uri": "file:///a"},
    }

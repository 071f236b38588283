"""A server that fails is left alone, reached again, and asked twice only for what may be done twice."""

import asyncio

import pytest

from app.gateway.upstream import CONNECTED, LOST, UpstreamFailure, UpstreamUnavailable


async def test_a_lost_server_is_reached_again_by_itself(connect, peers, call, heard):
    upstream, first = await connect()
    news = heard(upstream)
    first.end()
    await news.hear(LOST)
    assert not upstream.available
    second = await peers.next()
    await second.greet()
    await news.hear(CONNECTED)
    assert upstream.available
    calling = call(upstream, "tools/call", {"name": "a"})
    second.answer(await second.receive(), {"ok": 1})
    assert await calling == {"ok": 1}


async def test_a_server_that_could_not_be_opened_is_tried_again_in_the_background(make, peers, heard):
    peers.failing = OSError("not yet")
    upstream = make(peers)
    news = heard(upstream)
    with pytest.raises(UpstreamUnavailable):
        await upstream.open()
    peers.failing = None
    await (await peers.next()).greet()
    await news.hear(CONNECTED)
    assert upstream.available


async def test_a_call_while_the_server_is_away_fails_at_once_and_unsent(connect, peers, call, heard):
    upstream, peer = await connect()
    news = heard(upstream)
    peers.failing = OSError("away")
    peer.end()
    await news.hear(LOST)
    for method in ("tools/call", "tools/list"):
        with pytest.raises(UpstreamUnavailable, match="'peer' is not there") as error:
            await call(upstream, method)
        assert error.value.unsent


async def test_a_tool_is_not_called_again_when_its_answer_was_lost(connect, peers, call):
    upstream, first = await connect()
    calling = call(upstream, "tools/call", {"name": "a"})
    await first.receive()
    first.end()
    with pytest.raises(UpstreamUnavailable) as error:
        await calling
    assert not error.value.unsent
    second = await peers.next()
    await second.greet()
    await asyncio.sleep(0)
    assert second.quiet


@pytest.mark.parametrize(
    ("method", "more"),
    [("tools/list", {}), ("resources/read", {}), ("prompts/get", {}), ("tools/call", {"repeatable": True})],
)
async def test_what_may_be_done_twice_is_asked_again_of_the_server_that_came_back(connect, peers, call, method, more):
    upstream, first = await connect()
    calling = call(upstream, method, {"name": "a", "uri": "b:c"}, **more)
    await first.receive()
    first.end()
    second = await peers.next()
    await second.greet()
    request = await second.receive()
    assert request["method"] == method
    second.answer(request, {"ok": 1})
    assert await calling == {"ok": 1}


async def test_the_circuit_opens_after_five_failures_and_lets_one_through_later(connect, call, until):
    upstream, peer = await connect(open_seconds=0.05)
    for _ in range(5):
        assert upstream.available
        with pytest.raises(TimeoutError):
            await call(upstream, "tools/call", {"name": "a"}, timeout=0.001)
    assert not upstream.available
    with pytest.raises(UpstreamUnavailable, match="failed too often") as error:
        await call(upstream, "tools/call", {"name": "a"})
    assert error.value.unsent
    await until(lambda: upstream.available)
    while not peer.quiet:
        await peer.receive()
    trial = call(upstream, "tools/call", {"name": "b"})
    request = await peer.receive()
    assert request["params"]["name"] == "b"
    with pytest.raises(UpstreamUnavailable):
        await call(upstream, "tools/call", {"name": "c"})
    peer.answer(request, {"ok": 1})
    assert await trial == {"ok": 1}
    assert upstream.available


async def fails(call, times):
    for _ in range(times):
        with pytest.raises(TimeoutError):
            await call("tools/call", {"name": "a"}, timeout=0.001)


async def test_a_server_that_hangs_is_let_go_and_the_next_one_is_asked_at_once(connect, peers, call, heard):
    upstream, first = await connect(failures=3, open_seconds=60, doubt_seconds=0.05)
    news = heard(upstream)
    await fails(lambda *words, **more: call(upstream, *words, **more), 3)
    await news.hear(LOST)
    second = await peers.next()
    assert first.lines.ended
    await second.greet()
    await news.hear(CONNECTED)
    calling = call(upstream, "tools/call", {"name": "b"})
    second.answer(await second.receive(), {"ok": 1})
    assert await calling == {"ok": 1}


async def test_a_server_that_is_only_slow_says_so_and_is_kept(connect, call):
    upstream, peer = await connect(failures=3, open_seconds=60, doubt_seconds=20)
    await fails(lambda *words, **more: call(upstream, *words, **more), 3)
    while (asked := await peer.receive())["method"] != "ping":
        pass
    peer.answer(asked)
    await upstream._doubting
    assert not peer.lines.ended
    with pytest.raises(UpstreamUnavailable, match="failed too often"):
        await call(upstream, "tools/call", {"name": "a"})


async def test_errors_that_the_server_answers_do_not_open_the_circuit(connect, call):
    upstream, peer = await connect()
    for _ in range(10):
        calling = call(upstream, "tools/call", {"name": "a"})
        peer.refuse(await peer.receive())
        with pytest.raises(UpstreamFailure):
            await calling
    assert upstream.available


async def test_many_calls_lost_together_count_as_one_failure(connect, peers, call, until):
    upstream, first = await connect()
    calls = [call(upstream, "tools/call", {"name": "a"}) for _ in range(20)]
    for _ in calls:
        await first.receive()
    first.end()
    for one in calls:
        with pytest.raises(UpstreamUnavailable):
            await one
    second = await peers.next()
    await second.greet()
    await until(lambda: upstream.available)


async def test_calls_beyond_the_most_wait_their_turn_and_beyond_that_are_refused(connect, call):
    upstream, peer = await connect(max_running=2, max_waiting=2)
    calls = [call(upstream, "tools/call", {"name": str(n)}) for n in range(5)]
    running = [await peer.receive() for _ in range(2)]
    with pytest.raises(UpstreamUnavailable, match="busy: 2 requests run and 2 wait") as error:
        await calls[4]
    assert error.value.unsent
    assert peer.quiet
    peer.answer(running[0])
    third = await peer.receive()
    assert third["params"]["name"] == "2"
    calls[3].cancel()
    peer.answer(running[1])
    peer.answer(third)
    await asyncio.gather(*calls[:3])
    following = call(upstream, "tools/call", {"name": "5"})
    peer.answer(await peer.receive())
    await following


async def test_waiting_for_a_turn_is_part_of_the_time(connect, call):
    upstream, peer = await connect(max_running=1)
    first = call(upstream, "tools/call", {"name": "a"})
    request = await peer.receive()
    with pytest.raises(TimeoutError, match="no room"):
        await call(upstream, "tools/call", {"name": "b"}, timeout=0.01)
    peer.answer(request)
    await first


async def test_after_closing_nothing_is_tried(connect, peers, call):
    upstream, peer = await connect()
    calling = call(upstream, "tools/call", {"name": "a"})
    await peer.receive()
    await upstream.close()
    with pytest.raises(UpstreamUnavailable):
        await calling
    assert not upstream.available
    with pytest.raises(UpstreamUnavailable, match="let go"):
        await upstream.open()
    assert len(peers.opened) == 1


async def test_subscriptions_are_made_again_at_the_server_that_came_back(connect, peers, call, heard):
    upstream, first = await connect()
    subscribing = call(upstream, "resources/subscribe", {"uri": "a:b"})
    first.answer(await first.receive())
    await subscribing
    first.end()
    second = await peers.next()
    await second.greet()
    again = await second.receive()
    assert (again["method"], again["params"]) == ("resources/subscribe", {"uri": "a:b"})
    second.answer(again)


async def test_changes_are_listened_to_where_there_is_no_handshake(connect, call, heard):
    capabilities = {"tools": {"listChanged": True}, "resources": {"subscribe": True}}
    upstream, peer = await connect(stateless=True, capabilities=capabilities)
    news = heard(upstream)
    listening = await peer.receive()
    assert listening["method"] == "subscriptions/listen"
    assert listening["params"]["notifications"] == {"toolsListChanged": True}
    peer.say(method="notifications/subscriptions/acknowledged", params={"notifications": {"toolsListChanged": True}})
    peer.say(method="notifications/tools/list_changed", params={})
    await news.hear("notifications/tools/list_changed")
    assert await call(upstream, "resources/subscribe", {"uri": "a:b"}) == {}
    seen = [await peer.receive(), await peer.receive()]
    again = next(one for one in seen if one["method"] == "subscriptions/listen")
    assert again["params"]["notifications"] == {"toolsListChanged": True, "resourceSubscriptions": ["a:b"]}
    assert {one["method"] for one in seen} == {"notifications/cancelled", "subscriptions/listen"}
    assert news.methods == ["notifications/tools/list_changed"]


async def test_the_most_that_any_client_wants_logged_is_set_once(connect, call, client):
    upstream, peer = await connect()
    for level, expected in (("warning", "warning"), ("error", None), ("debug", "debug"), ("debug", None)):
        calling = call(upstream, "tools/call", {"name": "a"}, downstream=client(log_level=level))
        messages = [await peer.receive() for _ in range(2 if expected else 1)]
        for message in messages:
            peer.answer(message)
        await calling
        set_to = [message["params"]["level"] for message in messages if message["method"] == "logging/setLevel"]
        assert set_to == ([expected] if expected else [])

"""What a server says reaches whom it concerns, whatever else it says."""

import asyncio
import json

import pytest

from app.gateway.upstream import LOST, UpstreamFailure, UpstreamUnavailable


async def test_the_result_comes_as_the_server_wrote_it(connect, call):
    upstream, peer = await connect()
    calling = asyncio.create_task(upstream.request("tools/call", msg({"name": "a"})), name="test")
    request = await peer.receive()
    peer.raw(b'{"id":%d, "jsonrpc":"2.0","result": {"b" : 1.50,"a":[ ]}}' % request["id"])
    assert bytes(await calling) == b'{"b" : 1.50,"a":[ ]}'


async def test_ids_are_integers_of_our_own_and_never_the_same(connect, call):
    upstream, peer = await connect()
    calls = [call(upstream, "tools/call", {"name": str(n)}) for n in range(50)]
    requests = [await peer.receive() for _ in calls]
    assert len({request["id"] for request in requests}) == 50
    assert all(type(request["id"]) is int for request in requests)
    for request in reversed(requests):
        peer.answer(request, {"is": request["params"]["name"]})
    assert [(await one)["is"] for one in calls] == [str(n) for n in range(50)]


async def test_an_error_is_passed_on_with_its_data(connect, call):
    upstream, peer = await connect()
    calling = call(upstream, "tools/call", {"name": "a"})
    request = await peer.receive()
    peer.say(id=request["id"], error={"code": -31999, "message": "no", "data": {"why": [1]}})
    with pytest.raises(UpstreamFailure) as failure:
        await calling
    assert (failure.value.code, failure.value.message) == (-31999, "no")
    assert json.loads(bytes(failure.value.data)) == {"why": [1]}


GARBAGE = [
    b"Server listening on stdio",
    b"{",
    b"[]",
    b"null",
    b"[[]]",
    b'{"jsonrpc":"2.0","id":99999,"result":{}}',
    b'{"jsonrpc":"2.0","id":"1","result":{}}',
    b'{"jsonrpc":"2.0","id":1.5,"result":{}}',
    b'{"jsonrpc":"2.0","id":true,"result":{}}',
    b'{"jsonrpc":"2.0","id":null,"result":{}}',
    b'{"jsonrpc":"2.0","id":-1,"error":{"code":1,"message":"x"}}',
    b'{"jsonrpc":"2.0","result":{}}',
    b'{"jsonrpc":"2.0","method":7}',
    b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
    b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":{}}}',
    b'{"jsonrpc":"2.0","method":"notifications/progress"}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":[]}',
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"",
]


@pytest.mark.parametrize("line", GARBAGE, ids=lambda line: line[:40].decode("latin-1"))
async def test_garbage_is_skipped_and_the_calls_go_on(connect, call, line):
    upstream, peer = await connect()
    first, second = (call(upstream, "tools/call", {"name": name}) for name in "ab")
    requests = [await peer.receive() for _ in range(2)]
    peer.raw(line)
    for request in requests:
        peer.answer(request, {"ok": True})
    assert await first == await second == {"ok": True}


@pytest.mark.parametrize(
    "result",
    [b"NaN", b'{"n":NaN}', b'{"n":-Infinity}', b'{"text":"\xff"}', b"7", b"null", b"[]", b'"x"'],
    ids=repr,
)
async def test_a_result_that_no_client_may_see_fails_its_call_alone(connect, call, result):
    upstream, peer = await connect()
    bad, good = (call(upstream, "tools/call", {"name": name}) for name in "ab")
    requests = [await peer.receive() for _ in range(2)]
    peer.raw(b'{"jsonrpc":"2.0","id":%d,"result":%b}' % (requests[0]["id"], result))
    with pytest.raises(UpstreamFailure):
        await bad
    peer.answer(requests[1], {"ok": True})
    assert await good == {"ok": True}


@pytest.mark.parametrize("error", [7, None, {}, {"code": "x"}, {"message": "only"}])
async def test_an_error_that_is_none_still_ends_the_call(connect, call, error):
    upstream, peer = await connect()
    calling = call(upstream, "tools/call", {"name": "a"})
    peer.say(id=(await peer.receive())["id"], error=error)
    with pytest.raises(UpstreamFailure):
        await calling


async def test_an_error_without_an_id_ends_the_only_call(connect, call):
    upstream, peer = await connect()
    calling = call(upstream, "tools/call", {"name": "a"})
    await peer.receive()
    peer.say(id=None, error={"code": -32700, "message": "Parse error"})
    with pytest.raises(UpstreamFailure, match="Parse error"):
        await calling


async def test_a_second_answer_is_dropped(connect, call):
    upstream, peer = await connect()
    calling = call(upstream, "tools/call", {"name": "a"})
    request = await peer.receive()
    peer.answer(request, {"n": 1})
    peer.answer(request, {"n": 2})
    assert await calling == {"n": 1}
    later = call(upstream, "tools/call", {"name": "b"})
    peer.answer(request, {"n": 3})
    peer.answer(await peer.receive(), {"n": 4})
    assert await later == {"n": 4}


async def test_the_messages_of_a_batch_are_taken_one_by_one(connect, call):
    upstream, peer = await connect()
    calls = [call(upstream, "tools/call", {"name": name}) for name in "ab"]
    requests = [await peer.receive() for _ in calls]
    answers = [{"jsonrpc": "2.0", "id": request["id"], "result": {"n": request["id"]}} for request in requests]
    peer.raw(json.dumps([answers[0], {"nonsense": 1}, 7, answers[1]]).encode())
    assert [(await one)["n"] for one in calls] == [request["id"] for request in requests]


async def test_parameters_with_line_breaks_go_as_one_line(connect, call):
    upstream, peer = await connect()
    calling = asyncio.create_task(
        upstream.request("tools/call", msg(b'{\n  "name": "a",\r\n  "arguments": {}\n}')), name="test"
    )
    request = await peer.receive()
    assert request["params"] == {"name": "a", "arguments": {}}
    peer.answer(request)
    await calling


async def test_a_line_break_inside_of_a_string_is_refused_before_it_is_sent(connect):
    upstream, peer = await connect()
    with pytest.raises(UpstreamFailure, match=r"line break|not valid JSON"):
        await upstream.request("tools/call", msg(b'{"name":"a\n{\\"id\\":1}"}'))
    assert peer.quiet


async def test_cancelling_the_wait_cancels_the_request_there(connect, call):
    upstream, peer = await connect()
    calling = call(upstream, "tools/call", {"name": "a"})
    request = await peer.receive()
    calling.cancel()
    notice = await peer.receive()
    assert notice["method"] == "notifications/cancelled"
    assert notice["params"]["requestId"] == request["id"]
    peer.answer(request, {"late": True})
    following = call(upstream, "ping")
    peer.answer(await peer.receive())
    assert await following == {}


async def test_a_request_out_of_time_is_cancelled_there(connect, call):
    upstream, peer = await connect()
    with pytest.raises(TimeoutError, match="'peer' did not answer tools/call"):
        await call(upstream, "tools/call", {"name": "a"}, timeout=0.02)
    request = await peer.receive()
    notice = await peer.receive()
    assert (notice["method"], notice["params"]["requestId"]) == ("notifications/cancelled", request["id"])


async def test_a_server_that_does_not_read_is_waited_for_no_longer_than_allowed(connect, call):
    upstream, peer = await connect()
    peer.lines.blocked = asyncio.Event()
    with pytest.raises(TimeoutError):
        await call(upstream, "tools/call", {"name": "a"}, timeout=0.02)
    peer.lines.blocked.set()


async def test_calls_in_flight_fail_when_the_server_ends(connect, call, heard):
    upstream, peer = await connect()
    news = heard(upstream)
    calls = [call(upstream, "tools/call", {"name": name}) for name in "ab"]
    for _ in calls:
        await peer.receive()
    peer.end()
    for one in calls:
        with pytest.raises(UpstreamUnavailable, match="it ended") as error:
            await one
        assert not error.value.unsent
    await news.hear(LOST)


async def test_progress_comes_under_the_clients_token_and_before_the_result(connect, call, client):
    upstream, peer = await connect()
    one, other = client(progress_token="mine"), client(progress_token=7)
    calls = [call(upstream, "tools/call", {"name": "a"}, downstream=who) for who in (one, other)]
    requests = [await peer.receive() for _ in calls]
    tokens = [request["params"]["_meta"]["progressToken"] for request in requests]
    for n in range(3):
        for token in tokens:
            peer.say(method="notifications/progress", params={"progressToken": token, "progress": n, "x": {"y": 1}})
    peer.say(method="notifications/progress", params={"progressToken": "unknown", "progress": 9})
    for request in requests:
        peer.answer(request)
    for calling in calls:
        await calling
    for who, token in ((one, "mine"), (other, 7)):
        assert who.told == [
            ("notifications/progress", {"progressToken": token, "progress": n, "x": {"y": 1}}) for n in range(3)
        ]


async def test_no_progress_is_asked_for_where_the_client_wants_none(connect, call, client):
    upstream, peer = await connect()
    calling = call(upstream, "tools/call", {"name": "a"}, downstream=client())
    request = await peer.receive()
    assert "_meta" not in request["params"]
    peer.answer(request)
    await calling


async def test_other_members_of_meta_are_kept_beside_ours(connect, call, client):
    upstream, peer = await connect()
    params = {"name": "a", "_meta": {"traceparent": "00-1", "com.example/x": 1}}
    calling = call(upstream, "tools/call", params, downstream=client(progress_token="t"))
    request = await peer.receive()
    meta = request["params"]["_meta"]
    assert meta == {"traceparent": "00-1", "com.example/x": 1, "progressToken": request["id"]}
    peer.answer(request)
    await calling


async def test_log_messages_reach_the_only_client_else_everybody(connect, call, client, heard):
    upstream, peer = await connect()
    news = heard(upstream)
    who = client()
    calling = call(upstream, "tools/call", {"name": "a"}, downstream=who)
    request = await peer.receive()
    peer.say(method="notifications/message", params={"level": "info", "data": 1})
    peer.answer(request)
    await calling
    assert who.told == [("notifications/message", {"level": "info", "data": 1})]
    peer.say(method="notifications/message", params={"level": "info", "data": 2})
    told = await news.hear("notifications/message")
    assert json.loads(bytes(told.params)) == {"level": "info", "data": 2}


async def test_changes_are_news(connect, heard):
    upstream, peer = await connect()
    news = heard(upstream)
    peer.say(method="notifications/tools/list_changed")
    peer.say(method="notifications/resources/updated", params={"uri": "a:b"})
    await news.hear("notifications/tools/list_changed")
    assert json.loads(bytes((await news.hear("notifications/resources/updated")).params)) == {"uri": "a:b"}
    news.leave()
    peer.say(method="notifications/tools/list_changed")
    await asyncio.sleep(0)
    assert news.methods.count("notifications/tools/list_changed") == 1


async def test_a_client_that_cannot_be_told_does_not_fail_its_call(connect, call, client):
    upstream, peer = await connect()
    who = client(progress_token=1)

    async def fail(*_: object) -> None:
        raise ConnectionError("gone")

    who.notify = fail
    calling = call(upstream, "tools/call", {"name": "a"}, downstream=who)
    request = await peer.receive()
    peer.say(method="notifications/progress", params={"progressToken": request["id"], "progress": 1})
    peer.answer(request, {"ok": 1})
    assert await calling == {"ok": 1}


def msg(value):
    from msgspec import Raw

    return Raw(value if isinstance(value, bytes) else json.dumps(value).encode())

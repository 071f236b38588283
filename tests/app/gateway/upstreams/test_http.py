"""Streamable HTTP in both eras, with servers that keep to it and servers that do not."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from pathlib import Path

import pytest
from msgspec import Raw

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from web_peer import WebPeer, legacy, stateless

from app.gateway.launcher import UrlEndpoint
from app.gateway.upstream import CONNECTED, LOST, UpstreamFailure, UpstreamUnavailable


@pytest.fixture
async def web():
    peer = WebPeer()
    await peer.start()
    yield peer
    await peer.stop()


@pytest.fixture
def connect_web(make, web):
    """An open upstream at the peer, which answers all but calls and lists by itself."""

    async def connected(era=legacy, *, headers=None, target="/mcp", get=None, capabilities=None, **changes):
        async def handle(request):
            if request.method == "GET" and get is not None:
                await get(request)
            elif capabilities is not None and era is stateless:
                if not await stateless(request, capabilities):
                    web._waiting.put_nowait(request)
            elif not await era(request):
                web._waiting.put_nowait(request)

        web.handle = handle
        upstream = make(UrlEndpoint(f"http://127.0.0.1:{web.port}{target}", headers=headers or {}), **changes)
        await upstream.open()
        return upstream

    return connected


async def test_a_session_is_begun_and_ended(connect_web, web, call):
    upstream = await connect_web(headers={"Authorization": "Bearer x"}, target="/a/mcp?key=1%2F2")
    calling = call(upstream, "tools/call", {"name": "a"})
    request = await web.next()
    assert request.headers["mcp-session-id"] == "s-1"
    assert request.headers["mcp-protocol-version"] == "2025-11-25"
    assert request.headers["authorization"] == "Bearer x"
    assert request.headers["accept"] == "application/json, text/event-stream"
    assert request.target == "/a/mcp?key=1%2F2"
    assert "mcp-method" not in request.headers
    request.answer({"ok": 1})
    assert await calling == {"ok": 1}
    await upstream.close()
    assert web.requests[-1].method == "DELETE"
    assert web.requests[-1].headers["mcp-session-id"] == "s-1"


async def test_without_a_handshake_the_headers_say_what_the_body_says(connect_web, web, call):
    upstream = await connect_web(stateless)
    for method, params, name in (
        ("tools/call", {"name": "plain"}, "plain"),
        ("tools/call", {"name": "höch\r\nX-Evil: 1"}, None),
        ("tools/call", {"name": " padded "}, None),
        ("tools/call", {"name": "=?base64?eA==?="}, None),
        ("resources/read", {"uri": "file:///a b"}, "file:///a b"),
    ):
        calling = call(upstream, method, params)
        request = await web.next()
        assert request.headers["mcp-protocol-version"] == "2026-07-28"
        assert request.headers["mcp-method"] == method
        value = request.headers["mcp-name"]
        if name is None:
            assert value.startswith("=?base64?")
            value = base64.b64decode(value[len("=?base64?") : -2]).decode()
        assert value == (name or params["name"])
        assert "x-evil" not in request.headers
        assert "mcp-session-id" not in request.headers
        request.answer()
        await calling


async def test_arguments_are_repeated_as_headers_where_the_tool_wants_it(connect_web, web, call):
    upstream = await connect_web(stateless)

    def schema(name, annotated):
        properties = {"region": {"type": "string", "x-mcp-header": annotated}, "deep": {"type": "object"}}
        return {"name": name, "inputSchema": {"type": "object", "properties": properties}}

    listing = asyncio.create_task(upstream.list("tools"), name="test")
    (await web.next()).answer({"tools": [schema("good", "Region"), schema("bad", "no token"), {"name": "plain"}]})
    assert [json.loads(bytes(tool))["name"] for tool in await listing] == ["good", "plain"]
    calling = call(upstream, "tools/call", {"name": "good", "arguments": {"region": "köln"}})
    request = await web.next()
    assert request.headers["mcp-param-region"] == "=?base64?a8O2bG4=?="
    request.answer()
    await calling


async def test_a_call_whose_headers_do_not_fit_is_made_again_once_the_tools_are_known(connect_web, web, call):
    upstream = await connect_web(stateless)
    calling = call(upstream, "tools/call", {"name": "t", "arguments": {"n": 4}})
    (await web.next()).refuse(400, -32020, "Header mismatch")
    properties = {"n": {"type": "integer", "x-mcp-header": "N"}}
    (await web.next("tools/list")).answer({"tools": [{"name": "t", "inputSchema": {"properties": properties}}]})
    again = await web.next("tools/call")
    assert again.headers["mcp-param-n"] == "4"
    again.answer({"ok": 1})
    assert await calling == {"ok": 1}


async def test_calls_after_another_use_one_connection_and_calls_at_once_their_own(connect_web, web, call):
    upstream = await connect_web(stateless)
    connections = set()
    for _ in range(3):
        calling = call(upstream, "tools/call", {"name": "a"})
        request = await web.next()
        connections.add(request.connection)
        request.answer()
        await calling
    assert len(connections) == 1
    calls = [call(upstream, "tools/call", {"name": str(n)}) for n in range(3)]
    requests = [await web.next() for _ in calls]
    assert len({request.connection for request in requests}) == 3
    for request in reversed(requests):
        request.answer({"is": request.message["params"]["name"]})
    assert [(await one)["is"] for one in calls] == ["0", "1", "2"]


async def test_an_answer_may_come_on_a_stream_after_what_belongs_to_it(connect_web, web, call, client, until):
    upstream = await connect_web()
    who = client(progress_token="p", answers={"elicitation/create": {"action": "decline"}})
    other = client(progress_token="q")
    bystander = call(upstream, "tools/call", {"name": "b"}, downstream=other)
    beside = await web.next()
    calling = call(upstream, "tools/call", {"name": "a"}, downstream=who)
    request = await web.next()
    request.stream()
    request.event(b"", event_id="1")
    token = request.message["id"]
    progress = {"progressToken": token, "progress": 1}
    request.event({"jsonrpc": "2.0", "method": "notifications/progress", "params": progress})
    request.event({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info"}})
    request.event({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": {}})

    def replies() -> list[dict]:
        return [each.message for each in web.requests if each.body and each.message.get("id") == "q"]

    await until(replies)
    request.event(request.result({"ok": 1}))
    request.finish()
    assert await calling == {"ok": 1}
    assert [method for method, _ in who.told] == ["notifications/progress", "notifications/message"]
    assert other.told == other.asked == []
    beside.answer()
    await bystander
    assert [reply["result"] for reply in replies()] == [{"action": "decline"}]


async def test_a_stream_that_goes_on_after_the_answer_holds_nobody_up(connect_web, web, call):
    upstream = await connect_web(stateless)
    calling = call(upstream, "tools/call", {"name": "a"})
    request = await web.next()
    request.stream()
    request.event(request.result({"ok": 1}))
    assert await calling == {"ok": 1}
    following = call(upstream, "tools/call", {"name": "b"})
    other = await web.next()
    assert other.connection != request.connection
    other.answer()
    await following


async def test_a_stream_that_was_cut_is_resumed_where_it_was(connect_web, web, call):
    resumed: list[dict[str, str]] = []
    running = {}

    async def get(request):
        if "last-event-id" not in request.headers:
            request.reply(405)
            return
        resumed.append(request.headers["last-event-id"])
        request.stream()
        if len(resumed) == 1:
            request.event(b"", event_id="7")
            request.finish()
        else:
            request.event(running["request"].result({"ok": 1}))
            request.finish()

    upstream = await connect_web(get=get)
    calling = call(upstream, "tools/call", {"name": "a"})
    request = running["request"] = await web.next()
    request.stream()
    request.event(b"", event_id="5", retry=1)
    request.finish()
    assert await calling == {"ok": 1}
    assert resumed == ["5", "7"]
    assert len([r for r in web.requests if r.body and r.message.get("method") == "tools/call"]) == 1


async def test_a_stream_that_cannot_be_resumed_fails_its_call(connect_web, web, call):
    upstream = await connect_web()
    calling = call(upstream, "tools/call", {"name": "a"})
    request = await web.next()
    request.stream()
    request.finish()
    with pytest.raises(UpstreamUnavailable, match="ended the stream") as error:
        await calling
    assert not error.value.unsent


async def test_what_the_server_says_on_its_own_stream_is_news_and_the_stream_is_taken_up_again(
    connect_web, web, heard, call
):
    came = []

    async def get(request):
        came.append(request)
        request.stream()
        event = {"jsonrpc": "2.0", "method": f"notifications/n{len(came)}"}
        request.event(event, event_id=str(len(came)), retry=1)
        if len(came) == 1:
            request.finish()

    upstream = await connect_web(get=get)
    news = heard(upstream)
    await news.hear("notifications/n2")
    assert came[1].headers["last-event-id"] == "1"
    assert came[1].headers["mcp-session-id"] == "s-1"


async def test_a_session_that_ended_is_begun_anew_and_the_call_sent_again(connect_web, web, call):
    sessions = iter(["one", "two", "three"])

    async def era(request):
        fresh = request.body and request.message.get("method") == "initialize"
        return await legacy(request, next(sessions) if fresh else None)

    upstream = await connect_web(era)
    calls = [call(upstream, "tools/call", {"name": str(n)}) for n in range(3)]
    for _ in calls:
        request = await web.next()
        assert request.headers["mcp-session-id"] == "one"
        request.reply(404)
    for _ in calls:
        again = await web.next()
        assert again.headers["mcp-session-id"] == "two"
        again.answer({"ok": 1})
    assert [await one for one in calls] == [{"ok": 1}] * 3


async def test_a_server_that_forgot_the_session_with_another_status_is_understood(connect_web, web, call):
    upstream = await connect_web()
    calling = call(upstream, "tools/call", {"name": "a"})
    error = {"code": -32000, "message": "Bad Request: No valid session ID provided"}
    (await web.next()).reply(400, {"jsonrpc": "2.0", "id": None, "error": error})
    (await web.next()).answer({"ok": 1})
    assert await calling == {"ok": 1}


async def test_a_stale_connection_is_no_failure_for_what_may_be_sent_twice(connect_web, web, call):
    upstream = await connect_web(stateless)
    calling = call(upstream, "tools/list")
    first = await web.next()
    first.close()
    again = await web.next()
    assert again.connection != first.connection
    again.answer({"tools": []})
    assert await calling == {"tools": []}


async def test_a_call_that_may_have_arrived_is_not_sent_again(connect_web, web, call):
    upstream = await connect_web(stateless)
    calling = call(upstream, "tools/call", {"name": "a"})
    (await web.next()).close()
    with pytest.raises(UpstreamUnavailable, match="closed the connection") as error:
        await calling
    assert not error.value.unsent
    assert len([r for r in web.requests if r.message["method"] == "tools/call"]) == 1


async def test_a_server_that_is_gone_is_noticed_and_reached_again(connect_web, web, call, heard):
    upstream = await connect_web(stateless)
    news = heard(upstream)
    await web.stop()
    with pytest.raises(UpstreamUnavailable, match="no connection") as error:
        await call(upstream, "tools/call", {"name": "a"})
    assert error.value.unsent
    await news.hear(LOST)
    await web.start()
    await news.hear(CONNECTED)
    calling = call(upstream, "tools/call", {"name": "a"})
    (await web.next()).answer({"ok": 1})
    assert await calling == {"ok": 1}


async def test_cancelling_ends_the_exchange_without_a_handshake(connect_web, web, call):
    upstream = await connect_web(stateless)
    calling = call(upstream, "tools/call", {"name": "a"})
    request = await web.next()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    async with asyncio.timeout(5):
        await request.writer.wait_closed()
    assert web.requests[-1] is request


async def test_cancelling_is_told_in_a_session(connect_web, web, call, until):
    upstream = await connect_web()
    calling = call(upstream, "tools/call", {"name": "a"})
    request = await web.next()
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await until(lambda: web.requests[-1] is not request)
    notice = web.requests[-1].message
    assert (notice["method"], notice["params"]["requestId"]) == ("notifications/cancelled", request.message["id"])


async def test_a_redirect_on_the_same_server_is_followed_and_remembered(connect_web, web, call):
    async def era(request):
        if request.target != "/mcp/":
            request.reply(307, location="/mcp/")
            return True
        return await stateless(request)

    upstream = await connect_web(era)
    calling = call(upstream, "tools/call", {"name": "a"})
    request = await web.next()
    assert request.target == "/mcp/"
    assert [r.target for r in web.requests] == ["/mcp", "/mcp/", "/mcp/"]
    request.answer()
    await calling


@pytest.mark.parametrize("location", ["http://elsewhere.example/mcp", "//elsewhere.example/", "https://127.0.0.1/mcp"])
async def test_a_redirect_to_another_server_is_not_followed(connect_web, web, call, location):
    upstream = await connect_web(stateless, headers={"Authorization": "Bearer secret"})
    calling = call(upstream, "tools/call", {"name": "a"})
    (await web.next()).reply(307, location=location)
    with pytest.raises(UpstreamUnavailable, match="another server") as error:
        await calling
    assert "secret" not in str(error.value)


async def test_redirects_in_a_circle_end(connect_web, web, call):
    upstream = await connect_web(stateless)
    calling = call(upstream, "tools/call", {"name": "a"})
    for _ in range(4):
        (await web.next()).reply(308, location="/next")
    with pytest.raises(UpstreamUnavailable, match="from one address to the next"):
        await calling


BROKEN = {
    "not HTTP": b"SSH-2.0-OpenSSH_9\r\n\r\n",
    "a wrong length": b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}x",
    "a length and chunks": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bad chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    "another coding": b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "endless headers": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000,
    "too much": b"HTTP/1.1 200 OK\r\ncontent-length: 9000\r\n\r\n" + b"x" * 9000,
    "too much of an event": b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: " + b"x" * 9000,
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN.keys())
async def test_a_broken_answer_fails_its_call_alone(connect_web, web, call, answer):
    upstream = await connect_web(stateless, max_message_bytes=8192)
    calls = [call(upstream, "tools/call", {"name": str(n)}) for n in range(2)]
    bad, good = [await web.next() for _ in calls]
    bad.write(answer)
    with pytest.raises(UpstreamUnavailable):
        await calls[int(bad.message["params"]["name"])]
    good.answer({"ok": 1})
    assert await calls[int(good.message["params"]["name"])] == {"ok": 1}


async def test_an_answer_cut_in_the_middle_is_no_answer(connect_web, web, call):
    upstream = await connect_web(stateless)
    calling = call(upstream, "tools/call", {"name": "a"})
    request = await web.next()
    request.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{}")
    request.close()
    with pytest.raises(UpstreamUnavailable):
        await calling


async def test_an_answer_that_ends_with_its_connection_is_one(connect_web, web, call):
    upstream = await connect_web(stateless)
    calling = call(upstream, "tools/call", {"name": "a"})
    request = await web.next()
    body = json.dumps(request.result({"ok": 1})).encode()
    request.write(b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n" + body)
    request.close()
    assert await calling == {"ok": 1}


async def test_an_interim_answer_is_passed_over(connect_web, web, call):
    upstream = await connect_web(stateless)
    calling = call(upstream, "tools/call", {"name": "a"})
    request = await web.next()
    request.write(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n")
    request.answer({"ok": 1})
    assert await calling == {"ok": 1}


async def test_bytes_that_nobody_asked_for_cost_the_connection_and_no_call(connect_web, web, call):
    upstream = await connect_web(stateless)
    calling = call(upstream, "tools/call", {"name": "a"})
    request = await web.next()
    request.answer({"n": 1})
    request.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
    assert await calling == {"n": 1}
    following = call(upstream, "tools/call", {"name": "b"})
    other = await web.next()
    assert other.connection != request.connection
    other.answer({"n": 2})
    assert await following == {"n": 2}


@pytest.mark.parametrize(
    ("status", "words", "unsent"),
    [(401, "401", True), (403, "Authorization", True), (429, "429", True), (302, "302", True), (503, "503", False)],
)
async def test_a_status_that_is_no_answer_is_told(connect_web, web, call, status, words, unsent):
    upstream = await connect_web(stateless)
    calling = call(upstream, "tools/call", {"name": "a"})
    (await web.next()).reply(status, b"<html>oops</html>")
    with pytest.raises(UpstreamUnavailable, match=words) as error:
        await calling
    assert error.value.unsent is unsent


async def test_an_error_with_another_status_is_the_servers_error(connect_web, web, call):
    upstream = await connect_web(stateless)
    calling = call(upstream, "tools/call", {"name": "a"})
    (await web.next()).refuse(400, -32602, "Unknown tool")
    with pytest.raises(UpstreamFailure, match="Unknown tool"):
        await calling


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"7", b'{"jsonrpc":"2.0","id":77,"result":{}}', b'{"jsonrpc":"2.0","method":"x"}']
)
async def test_an_answer_that_answers_something_else_fails_its_call(connect_web, web, call, body):
    upstream = await connect_web(stateless)
    calling = call(upstream, "tools/call", {"name": "a"})
    (await web.next()).reply(200, body, content_type="application/json")
    with pytest.raises(UpstreamFailure, match="something else"):
        await calling


async def test_a_wrong_address_is_told_as_one(make, web):
    async def handle(request):
        request.reply(404, b"not here")

    web.handle = handle
    with pytest.raises(UpstreamUnavailable, match=r"404: not here .*address of an MCP server"):
        await make(UrlEndpoint(web.url)).open()


async def test_a_server_that_became_one_of_the_other_era_is_understood_anew(connect_web, web, call, heard):
    now = [stateless]

    async def era(request):
        if now[0] is stateless:
            return await stateless(request)
        new = request.body and request.headers.get("mcp-protocol-version") == "2026-07-28"
        if new:
            request.reply(400, b"what?")
            return True
        return await legacy(request)

    upstream = await connect_web(era)
    news = heard(upstream)
    assert upstream.about.revision == "2026-07-28"
    now[0] = legacy
    with pytest.raises(UpstreamUnavailable):
        await call(upstream, "tools/call", {"name": "a"}, timeout=0.001)
    await news.hear(CONNECTED)
    assert upstream.about.revision == "2025-11-25"


async def test_listening_is_one_long_request_without_a_handshake(connect_web, web, heard):
    upstream = await connect_web(stateless, capabilities={"tools": {"listChanged": True}})
    news = heard(upstream)
    request = await web.next("subscriptions/listen")
    request.stream()
    request.event({"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {"_meta": {}}})
    await news.hear("notifications/tools/list_changed")
    request.close()
    again = await web.next("subscriptions/listen")
    again.stream()
    await news.hear(CONNECTED)
    assert upstream.available


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "1\r\nX-B: 2"},
        {"X-A\r\nX-B": "1"},
        {"X A": "1"},
        {"X-A": "\x00"},
        {"Host": "evil"},
        {"Content-Length": "7"},
        {"Transfer-Encoding": "chunked"},
        {"Mcp-Session-Id": "mine"},
    ],
)
async def test_headers_cannot_be_used_to_slip_something_in(make, web, headers):
    with pytest.raises(ValueError, match="header"):
        make(UrlEndpoint(web.url, headers=headers))


@pytest.mark.parametrize(
    "url", ["ftp://a/", "http://", "http://user:secret@host/", "http://host:99999/", "/mcp", "file:///etc/passwd"]
)
async def test_an_address_that_cannot_be_one_is_refused(make, url):
    with pytest.raises(ValueError, match="address") as error:
        make(UrlEndpoint(url))
    assert "secret" not in str(error.value)


async def test_a_target_cannot_break_out_of_its_line(connect_web, web, call):
    upstream = await connect_web(stateless, target="/mcp%0d%0aX:%201/a b?q=1 2")
    assert web.requests[0].target == "/mcp%0d%0aX:%201/a%20b?q=1%202"
    assert upstream.available


@pytest.mark.parametrize("session", ["a b", "ü", "x" * 2000])
async def test_a_session_id_that_is_none_is_refused(connect_web, session):
    async def era(request):
        return await legacy(request, session.encode("utf-8").decode("latin-1"))

    with pytest.raises(UpstreamUnavailable, match="session"):
        await connect_web(era)


async def test_an_open_circuit_does_not_need_the_server_to_be_gone(connect_web, web, call):
    upstream = await connect_web(stateless)
    for _ in range(5):
        calling = call(upstream, "tools/call", {"name": "a"})
        (await web.next()).reply(503)
        with pytest.raises(UpstreamUnavailable):
            await calling
    assert not upstream.available
    with pytest.raises(UpstreamUnavailable, match="failed too often"):
        await upstream.request("tools/call", Raw(b"{}"))

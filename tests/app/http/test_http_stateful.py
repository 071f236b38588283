"""Streamable HTTP from 2025-03-26 to 2025-11-25, on a listening server."""

import asyncio
import json
from contextlib import asynccontextmanager

import pytest

from app.protocol.changes import Change
from app.sessions.memory import MemoryStore
from app.sessions.store import StoreLimits, StoreUnavailable

HANDSHAKE = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]
STREAM = {"accept": "text/event-stream"}


@asynccontextmanager
async def streamed(running, wire, message, headers):
    """A POST whose answer is read as it comes."""
    sent = {"content-type": "application/json", "accept": "application/json, text/event-stream", **headers}
    async with running.http.stream("POST", "/mcp", content=json.dumps(message), headers=sent) as answer:
        yield answer, wire.Events(answer)


@asynccontextmanager
async def listening(running, wire, headers):
    """A GET stream."""
    async with running.http.stream("GET", "/mcp", headers={**STREAM, **headers}) as answer:
        yield answer, wire.Events(answer)


@pytest.mark.parametrize("revision", HANDSHAKE)
async def test_initialize_opens_a_session_in_the_revision_that_was_asked_for(running, wire, revision):
    params = {"protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    answer = await running.post(wire.call(1, "initialize", params))
    result = answer.json()["result"]
    assert result["protocolVersion"] == revision
    assert result["serverInfo"] == {"name": "test", "version": "1"}
    assert ("completions" in result["capabilities"]) == (revision != "2024-11-05")
    assert len(answer.headers["mcp-session-id"]) >= 32
    assert "resultType" not in result


@pytest.mark.parametrize("asked", ["1999-01-01", "2026-07-28", ""])
async def test_initialize_offers_the_newest_revision_it_can_where_another_was_asked_for(running, wire, asked):
    params = {"protocolVersion": asked, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    answer = await running.post(wire.call(1, "initialize", params))
    assert answer.json()["result"]["protocolVersion"] == "2025-11-25"


async def test_an_initialize_with_wrong_parameters_opens_no_session(running, wire):
    answer = await running.post(wire.call(1, "initialize", {"protocolVersion": 5}))
    assert answer.json()["error"]["code"] == -32602
    assert "mcp-session-id" not in answer.headers
    assert len(running.store) == 0


async def test_a_tool_is_called_in_a_session(running, wire):
    session = await running.initialize()
    answer = await running.post(wire.call("x", "tools/call", {"name": "echo", "arguments": {"text": "hi"}}), session)
    assert answer.json() == {"jsonrpc": "2.0", "id": "x", "result": {"content": [{"type": "text", "text": "hi"}]}}


async def test_a_second_initialize_is_refused_and_the_session_goes_on(running, wire):
    session = await running.initialize()
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    answer = await running.post(wire.call(1, "initialize", params), session)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32600)
    assert (await running.post(wire.call(2, "ping"), session)).json()["result"] == {}


async def test_a_call_before_initialized_is_refused_but_a_ping_is_not(running, wire):
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    opened = await running.post(wire.call(1, "initialize", params))
    session = {"mcp-session-id": opened.headers["mcp-session-id"]}
    early = await running.post(wire.call(2, "tools/list"), session)
    assert (early.status_code, early.json()["error"]["code"]) == (400, -32600)
    assert "notifications/initialized" in early.json()["error"]["message"]
    assert (await running.post(wire.call(3, "ping"), session)).json()["result"] == {}
    await running.post(wire.note("notifications/initialized"), session)
    assert "result" in (await running.post(wire.call(4, "tools/list"), session)).json()


async def test_a_call_that_overtakes_initialized_waits_for_it(running, wire):
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    opened = await running.post(wire.call(1, "initialize", params))
    session = {"mcp-session-id": opened.headers["mcp-session-id"]}
    early = asyncio.create_task(running.post(wire.call(2, "tools/list"), session))
    await running.post(wire.call(3, "ping"), session)
    assert not early.done()
    await running.post(wire.note("notifications/initialized"), session)
    assert "result" in (await early).json()


async def test_a_request_without_a_session_is_refused(running, wire):
    answer = await running.post(wire.call(1, "tools/list"))
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["id"]) == (400, -32600, 1)


@pytest.mark.parametrize("session_id", ["unknown", "", "../../etc", "x" * 5000])
async def test_an_unknown_session_is_not_found(running, wire, session_id):
    answer = await running.post(wire.call(1, "tools/list"), {"mcp-session-id": session_id})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, -32600)


async def test_a_foreign_session_is_not_found(running, wire):
    session = await running.initialize(**{"x-caller": "ada"})
    answer = await running.post(wire.call(1, "tools/list"), {**session, "x-caller": "bob"})
    assert answer.status_code == 404
    assert (await running.http.delete("/mcp", headers={**session, "x-caller": "bob"})).status_code == 404
    assert (await running.post(wire.call(1, "tools/list"), session)).status_code == 200


async def test_a_deleted_session_is_not_found_and_its_calls_are_cancelled(running, wire):
    session = await running.initialize()
    calling = asyncio.create_task(running.post(wire.call(1, "tools/call", {"name": "hold"}), session))
    await running.gates.started.wait()
    assert (await running.http.delete("/mcp", headers=session)).status_code == 204
    await running.gates.cancelled.wait()
    assert "error" in (await calling).json()
    assert (await running.post(wire.call(2, "ping"), session)).status_code == 404
    assert (await running.http.delete("/mcp", headers=session)).status_code == 404


async def test_an_unknown_method_is_an_error_of_the_protocol_and_not_of_http(running, wire):
    session = await running.initialize()
    answer = await running.post(wire.call(1, "no/such"), session)
    assert (answer.status_code, answer.json()["error"]["code"]) == (200, -32601)


async def test_an_unsupported_version_header_is_refused(running, wire):
    session = await running.initialize()
    answer = await running.post(wire.call(1, "ping"), {**session, "mcp-protocol-version": "2031-01-01"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32022)


async def test_an_id_that_is_in_flight_cannot_be_used_again(running, wire):
    session = await running.initialize()
    first = asyncio.create_task(running.post(wire.call(9, "tools/call", {"name": "hold"}), session))
    await running.gates.started.wait()
    second = await running.post(wire.call(9, "tools/call", {"name": "echo", "arguments": {"text": "x"}}), session)
    assert (second.status_code, second.json()["error"]["code"], second.json()["id"]) == (400, -32600, 9)
    text = await running.post(wire.call("9", "tools/call", {"name": "echo", "arguments": {"text": "x"}}), session)
    assert text.json()["result"]["content"][0]["text"] == "x"
    running.gates.go.set()
    assert "held" in (await first).text
    again = await running.post(wire.call(9, "tools/call", {"name": "echo", "arguments": {"text": "y"}}), session)
    assert again.json()["result"]["content"][0]["text"] == "y"


async def test_a_cancelled_call_stops_and_its_request_is_answered(running, wire):
    session = await running.initialize()
    calling = asyncio.create_task(running.post(wire.call(9, "tools/call", {"name": "hold"}), session))
    await running.gates.started.wait()
    await running.post(wire.note("notifications/cancelled", {"requestId": 9}), session)
    await running.gates.cancelled.wait()
    assert (await calling).json()["error"]["message"] == "The request was cancelled."


async def test_progress_is_streamed_with_event_ids(running, wire):
    session = await running.initialize()
    message = wire.call(1, "tools/call", {"name": "count", "arguments": {"to": 2}, "_meta": {"progressToken": 5}})
    async with streamed(running, wire, message, session) as (_, events):
        primed = await events.next()
        told = [await events.next() for _ in range(3)]
        assert await events.next() is None
    assert (primed["data"], primed["retry"]) == ("", "1000")
    assert len({event["id"] for event in [primed, *told]}) == 4
    assert [json.loads(event["data"]).get("method", "answer") for event in told] == [
        "notifications/progress",
        "notifications/progress",
        "answer",
    ]


async def test_older_clients_get_no_empty_event(running, wire):
    session = await running.initialize("2025-06-18")
    message = wire.call(1, "tools/call", {"name": "count", "arguments": {"to": 1}, "_meta": {"progressToken": 5}})
    async with streamed(running, wire, message, session) as (_, events):
        assert json.loads((await events.next())["data"])["method"] == "notifications/progress"


async def test_what_a_cut_off_answer_still_had_to_say_is_fetched_by_last_event_id(running, wire):
    session = await running.initialize()
    message = wire.call(1, "tools/call", {"name": "hold", "arguments": {"say": True}})
    async with streamed(running, wire, message, session) as (_, events):
        assert (await events.next())["data"] == ""
        seen = await events.next()
        assert "holding" in seen["data"]
    running.gates.go.set()
    async with listening(running, wire, {**session, "last-event-id": seen["id"]}) as (answer, events):
        assert answer.status_code == 200
        message = await events.message()
        assert (message["id"], message["result"]["content"][0]["text"]) == (1, "held")
        assert await events.next() in (None, {"retry": "1000"})


async def test_a_call_that_takes_long_becomes_a_stream_that_can_be_resumed(running, wire):
    session = await running.initialize()
    async with streamed(running, wire, wire.call(1, "tools/call", {"name": "hold"}), session) as (answer, events):
        assert answer.headers["content-type"] == "text/event-stream"
        primed = await events.next()
    running.gates.go.set()
    async with listening(running, wire, {**session, "last-event-id": primed["id"]}) as (_, events):
        assert (await events.message())["result"]["content"][0]["text"] == "held"


@pytest.mark.parametrize("event_id", ["nonsense", "main:999", "r0000000000000000:1", "main:-1", ""])
async def test_an_event_id_that_this_session_never_had_is_refused(running, wire, event_id):
    session = await running.initialize()
    answer = await running.http.get("/mcp", headers={**STREAM, **session, "last-event-id": event_id})
    assert answer.status_code in (400, 404)
    assert answer.json()["error"]["code"] == -32600


async def test_the_event_id_of_another_session_is_refused(running, wire):
    theirs, mine = await running.initialize(), await running.initialize()
    message = wire.call(1, "tools/call", {"name": "count", "arguments": {"to": 1}, "_meta": {"progressToken": 5}})
    async with streamed(running, wire, message, theirs) as (_, events):
        await events.next()
        event = await events.next()
    answer = await running.http.get("/mcp", headers={**STREAM, **mine, "last-event-id": event["id"]})
    assert answer.status_code == 404


async def test_the_get_stream_tells_of_changes_the_session_should_hear_of(running, wire):
    session = await running.initialize()
    assert "result" in (await running.post(wire.call(1, "resources/subscribe", {"uri": "test://note"}), session)).json()
    async with listening(running, wire, session) as (answer, events):
        assert answer.headers["mcp-session-id"] == session["mcp-session-id"]
        assert (await events.next())["data"] == ""
        await running.announce(Change("resource", "test://other"))
        await running.announce(Change("resource", "test://note"))
        assert (await events.message())["params"] == {"uri": "test://note"}
        await running.post(wire.call(2, "resources/unsubscribe", {"uri": "test://note"}), session)
        await running.announce(Change("resource", "test://note"))
        await running.announce(Change("tools"))
        assert (await events.message())["method"] == "notifications/tools/list_changed"


async def test_a_resumed_get_stream_begins_after_the_last_event(running, wire):
    session = await running.initialize()
    async with listening(running, wire, session) as (_, events):
        await events.next()
        await running.announce(Change("tools"))
        first = await events.next()
        await running.announce(Change("prompts"))
        second = await events.next()
    async with listening(running, wire, {**session, "last-event-id": first["id"]}) as (_, events):
        assert (await events.next())["data"] == ""
        assert await events.next() == second


async def test_a_second_get_stream_is_refused_but_a_resumed_one_takes_over(running, wire):
    session = await running.initialize()
    async with listening(running, wire, session) as (_, first):
        primed = await first.next()
        refused = await running.http.get("/mcp", headers={**STREAM, **session})
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, -32600)
        async with listening(running, wire, {**session, "last-event-id": primed["id"]}) as (_, second):
            await second.next()
            assert await first.next() == {"retry": "1000"}
            assert await first.next() is None
            await running.announce(Change("tools"))
            assert (await second.message())["method"] == "notifications/tools/list_changed"


async def test_get_streams_are_told_to_reconnect_when_the_server_drains(running, wire):
    session = await running.initialize()
    async with listening(running, wire, session) as (_, events):
        await events.next()
        await running.endpoint.drain()
        assert await events.next() == {"retry": "1000"}
        assert await events.next() is None


async def test_a_get_needs_a_session_and_an_accept_header_for_events(running):
    assert (await running.http.get("/mcp", headers=STREAM)).status_code == 400
    assert (await running.http.get("/mcp", headers={"accept": "application/json"})).status_code == 406


@pytest.mark.parametrize("method", ["PUT", "PATCH", "HEAD"])
async def test_other_http_methods_are_not_allowed(running, method):
    answer = await running.http.request(method, "/mcp")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST, DELETE")


async def answer_requests(running, session, events, answers):
    """Answer what the server asks, until its own answer comes."""
    asked = []
    while True:
        message = await events.message()
        if "method" not in message:
            return asked, message
        asked.append(message)
        reply = {"jsonrpc": "2.0", "id": message["id"], **answers[len(asked) - 1]}
        assert (await running.post(reply, session)).status_code == 202


async def test_elicitation_asks_the_client_on_the_stream_of_the_call(running, wire):
    session = await running.initialize(capabilities={"elicitation": {}})
    answers = [
        {"result": {"action": "accept", "content": {"value": "Ada"}}},
        {"result": {"action": "accept", "content": {"value": "blue"}}},
    ]
    async with streamed(running, wire, wire.call(1, "tools/call", {"name": "ask_name"}), session) as (_, events):
        asked, message = await answer_requests(running, session, events, answers)
    assert [request["method"] for request in asked] == ["elicitation/create", "elicitation/create"]
    assert asked[0]["params"]["message"] == "What is your name?"
    assert message["result"]["content"][0]["text"] == "hello: Ada likes blue"


async def test_sampling_and_roots_reach_the_client(running, wire):
    session = await running.initialize(capabilities={"sampling": {}, "roots": {}})
    said = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "42"}}
    think = wire.call(1, "tools/call", {"name": "think", "arguments": {"question": "?"}})
    async with streamed(running, wire, think, session) as (_, events):
        _, message = await answer_requests(running, session, events, [{"result": said}])
    assert message["result"]["content"][0]["text"] == "42"
    async with streamed(running, wire, wire.call(2, "tools/call", {"name": "where"}), session) as (_, events):
        _, message = await answer_requests(running, session, events, [{"result": {"roots": [{"uri": "file:///a"}]}}])
    assert message["result"]["content"][0]["text"] == "file:///a"


async def test_a_client_that_declines_makes_the_tool_fail_and_not_the_server(running, wire):
    session = await running.initialize(capabilities={"sampling": {}})
    think = wire.call(1, "tools/call", {"name": "think", "arguments": {"question": "?"}})
    async with streamed(running, wire, think, session) as (_, events):
        _, message = await answer_requests(running, session, events, [{"error": {"code": -1, "message": "no"}}])
    assert message["result"]["isError"] is True
    assert "no" in message["result"]["content"][0]["text"]


async def test_a_client_is_not_asked_for_what_it_did_not_declare(running, wire):
    session = await running.initialize()
    answer = await running.post(wire.call(1, "tools/call", {"name": "ask_name"}), session)
    assert answer.json()["error"]["code"] == -32602
    assert "elicitation" in answer.json()["error"]["message"]


async def test_a_response_that_nobody_waits_for_is_accepted_and_ignored(running):
    session = await running.initialize()
    for request_id in ("nobody-1", f"{running.board.replica}-77", 5):
        reply = {"jsonrpc": "2.0", "id": request_id, "result": {}}
        assert (await running.post(reply, session)).status_code == 202


async def test_the_log_level_of_the_session_decides_what_is_sent(running, wire):
    session = await running.initialize()
    running.gates.go.set()
    hold = {"name": "hold", "arguments": {"say": True}}
    assert "holding" in (await running.post(wire.call(1, "tools/call", hold), session)).text
    await running.post(wire.call(2, "logging/setLevel", {"level": "error"}), session)
    assert "holding" not in (await running.post(wire.call(3, "tools/call", hold), session)).text
    wrong = await running.post(wire.call(4, "logging/setLevel", {"level": "loud"}), session)
    assert wrong.json()["error"]["code"] == -32602


async def test_a_batch_is_answered_as_a_batch_where_the_revision_has_them(running, wire):
    session = await running.initialize("2025-03-26")
    batch = [
        wire.call(1, "tools/call", {"name": "echo", "arguments": {"text": "a"}}),
        wire.note("notifications/progress", {"progressToken": 1, "progress": 1}),
        {"jsonrpc": "1.0", "id": 2, "method": "ping"},
        wire.call(3, "ping"),
        wire.call(3, "ping"),
    ]
    answer = await running.post(batch, session)
    told = {(item["id"], item.get("error", {}).get("code", 0)) for item in answer.json()}
    assert told == {(1, 0), (2, -32600), (3, 0), (3, -32600)} or told == {(1, 0), (2, -32600), (3, 0)}
    assert (await running.post([wire.note("notifications/cancelled", {"requestId": 5})], session)).status_code == 202
    empty = await running.post([], session)
    assert (empty.status_code, empty.json()["error"]["code"]) == (400, -32600)


@pytest.mark.parametrize("revision", ["2025-06-18", "2025-11-25"])
async def test_a_batch_is_refused_where_the_revision_has_none(running, wire, revision):
    session = await running.initialize(revision)
    answer = await running.post([wire.call(1, "ping")], session)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32600)


async def test_a_store_that_is_away_is_a_retryable_error(running, wire, monkeypatch):
    session = await running.initialize()

    async def away(session_id):
        raise StoreUnavailable("away")

    monkeypatch.setattr(running.store, "load", away)
    answer = await running.post(wire.call(1, "tools/list"), session)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert answer.json()["error"]["code"] == -31000
    new = wire.new_call(2, "tools/list")
    assert (await running.post(new, wire.new_headers(new))).status_code == 200


async def test_the_cap_on_sessions_is_a_retryable_error(running, wire):
    running.store.limits = StoreLimits(max_sessions=1)
    assert isinstance(running.store, MemoryStore)
    await running.initialize()
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    answer = await running.post(wire.call(1, "initialize", params))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")


async def test_an_answer_reaches_a_client_that_is_there_although_its_log_is_gone(running, wire, monkeypatch):
    session = await running.initialize()
    message = wire.call(1, "tools/call", {"name": "hold", "arguments": {"say": True}})
    async with streamed(running, wire, message, session) as (_, events):
        assert "holding" in (await events.message())["params"]["data"]

        async def away(*args, **named):
            raise StoreUnavailable("away")

        monkeypatch.setattr(running.store, "append", away)
        running.gates.go.set()
        assert (await events.message())["result"]["content"][0]["text"] == "held"
        assert await events.next() is None


async def test_a_client_cannot_be_asked_while_the_log_is_gone(running, wire, monkeypatch):
    session = await running.initialize(capabilities={"sampling": {}})

    async def away(*args, **named):
        raise StoreUnavailable("away")

    monkeypatch.setattr(running.store, "append", away)
    think = wire.call(1, "tools/call", {"name": "think", "arguments": {"question": "?"}})
    async with streamed(running, wire, think, session) as (_, events):
        assert (await events.message())["error"]["code"] == -31000


async def test_a_change_of_the_session_that_cannot_be_kept_is_a_retryable_error(running, wire, monkeypatch):
    session = await running.initialize()

    async def away(*args, **named):
        raise StoreUnavailable("away")

    monkeypatch.setattr(running.store, "save", away)
    answer = await running.post(wire.call(1, "logging/setLevel", {"level": "error"}), session)
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["id"]) == (503, -31000, 1)

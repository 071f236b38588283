"""Streamable HTTP of 2026-07-28, on a listening server."""

import asyncio
import base64
import json

import pytest

from app.protocol.changes import Change

NEW = "2026-07-28"
META = "io.modelcontextprotocol/"


async def test_discover_names_the_revisions_and_the_capabilities(running, wire):
    message = wire.new_call(1, "server/discover")
    answer = await running.post(message, wire.new_headers(message))
    result = answer.json()["result"]
    assert answer.status_code == 200
    assert result["resultType"] == "complete"
    assert result["supportedVersions"] == ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"]
    assert result["capabilities"]["resources"] == {"listChanged": True, "subscribe": True}
    assert result["_meta"][META + "serverInfo"] == {"name": "test", "version": "1"}
    assert result["cacheScope"] == "public"
    assert result["ttlMs"] > 0


async def test_a_tool_is_called_without_any_handshake(running, wire):
    message = wire.new_call("a", "tools/call", {"name": "echo", "arguments": {"text": "hi"}})
    answer = await running.post(message, wire.new_headers(message))
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "jsonrpc": "2.0",
        "id": "a",
        "result": {
            "resultType": "complete",
            "content": [{"type": "text", "text": "hi"}],
            "_meta": {META + "serverInfo": {"name": "test", "version": "1"}},
        },
    }


@pytest.mark.parametrize(
    ("method", "params", "member"),
    [
        ("tools/list", {}, "tools"),
        ("prompts/list", {}, "prompts"),
        ("resources/list", {}, "resources"),
        ("resources/templates/list", {}, "resourceTemplates"),
        ("resources/read", {"uri": "test://note"}, "contents"),
        ("prompts/get", {"name": "greet", "arguments": {"name": "Ada"}}, "messages"),
    ],
)
async def test_every_result_says_its_type(running, wire, method, params, member):
    message = wire.new_call(1, method, params)
    result = (await running.post(message, wire.new_headers(message))).json()["result"]
    assert result["resultType"] == "complete"
    assert isinstance(result[member], list)
    if method != "prompts/get":
        assert result["cacheScope"] in ("public", "private")
        assert isinstance(result["ttlMs"], int)


@pytest.mark.parametrize("left_out", ["protocolVersion", "clientCapabilities"])
async def test_a_request_without_required_meta_is_invalid(running, wire, left_out):
    message = wire.new_call(7, "tools/list")
    del message["params"]["_meta"][META + left_out]
    answer = await running.post(message, wire.new_headers(message))
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["id"]) == (400, -32602, 7)


async def test_a_request_without_meta_is_invalid(running, wire):
    message = wire.call(7, "tools/list")
    answer = await running.post(message, wire.new_headers(message))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32602)


async def test_client_info_may_be_left_out(running, wire):
    message = wire.new_call(7, "tools/list")
    del message["params"]["_meta"][META + "clientInfo"]
    assert (await running.post(message, wire.new_headers(message))).status_code == 200


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("mcp-protocol-version", None),
        ("mcp-protocol-version", "2025-11-25"),
        ("mcp-method", None),
        ("mcp-method", "tools/list"),
        ("mcp-method", "TOOLS/CALL"),
        ("mcp-name", None),
        ("mcp-name", "hold"),
        ("mcp-name", "=?base64?###?="),
        ("mcp-name", "=?base64?/w==?="),
        ("mcp-name", "=?base64?" + base64.b64encode(b"hold").decode() + "?="),
    ],
)
async def test_headers_that_do_not_say_what_the_body_says_are_refused(running, wire, header, value):
    message = wire.new_call(5, "tools/call", {"name": "echo", "arguments": {"text": "x"}})
    headers = wire.new_headers(message)
    del headers[header]
    if value is not None:
        headers[header] = value
    answer = await running.post(message, headers)
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["id"]) == (400, -32020, 5)
    assert running.gates.calls == 0


@pytest.mark.parametrize("name", ["  echo \t", "=?base64?ZWNobw==?="])
async def test_a_name_header_may_be_padded_or_wrapped_in_base64(running, wire, name):
    message = wire.new_call(5, "tools/call", {"name": "echo", "arguments": {"text": "x"}})
    body = json.dumps(message).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAccept: */*\r\nMcp-Name:{name}\r\n"
        f"Mcp-Method: tools/call \r\nMCP-Protocol-Version: {NEW}  \r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(head.encode() + body)
    answer = (await reader.read()).decode()
    writer.close()
    assert answer.startswith("HTTP/1.1 200")
    assert '"text":"x"' in answer


async def test_a_routing_header_that_is_there_twice_is_refused(running, wire):
    message = wire.new_call(5, "tools/list")
    headers = [*wire.new_headers(message).items(), ("mcp-method", "tools/list")]
    headers += [("content-type", "application/json"), ("accept", "*/*")]
    answer = await running.http.post("/mcp", content=json.dumps(message), headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32020)


MIRROR = {"region": "eu", "size": 42, "deep": {"flag": True}}
MIRROR_HEADERS = {"mcp-param-region": "eu", "mcp-param-size": "42", "mcp-param-flag": "true"}


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        (MIRROR, MIRROR_HEADERS),
        (MIRROR, MIRROR_HEADERS | {"mcp-param-size": "42.0"}),
        ({"region": "Zürich"}, {"mcp-param-region": "=?base64?" + base64.b64encode("Zürich".encode()).decode() + "?="}),
        ({}, {}),
        ({"region": None}, {}),
        ({"region": "eu"}, {"mcp-param-region": "eu", "mcp-param-unknown": "whatever"}),
    ],
)
async def test_mirrored_arguments_that_agree_with_their_headers_are_accepted(running, wire, arguments, headers):
    message = wire.new_call(5, "tools/call", {"name": "mirrored", "arguments": arguments})
    answer = await running.post(message, wire.new_headers(message) | headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("arguments", "headers"),
    [
        (MIRROR, MIRROR_HEADERS | {"mcp-param-region": "us"}),
        (MIRROR, MIRROR_HEADERS | {"mcp-param-size": "43"}),
        (MIRROR, MIRROR_HEADERS | {"mcp-param-size": "4_2"}),
        (MIRROR, MIRROR_HEADERS | {"mcp-param-flag": "True"}),
        (MIRROR, {}),
        ({}, {"mcp-param-region": "eu"}),
        ({"region": "eu"}, {"mcp-param-region": "=?base64?ZX?="}),
    ],
)
async def test_mirrored_arguments_that_disagree_with_their_headers_are_refused(running, wire, arguments, headers):
    message = wire.new_call(5, "tools/call", {"name": "mirrored", "arguments": arguments})
    answer = await running.post(message, wire.new_headers(message) | headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32020)


async def test_an_unknown_version_is_answered_with_the_versions_that_are_served(running, wire):
    message = wire.new_call(5, "tools/list")
    message["params"]["_meta"][META + "protocolVersion"] = "2030-01-01"
    answer = await running.post(message, wire.new_headers(message) | {"mcp-protocol-version": "2030-01-01"})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, -32022)
    assert error["data"]["requested"] == "2030-01-01"
    assert NEW in error["data"]["supported"]


@pytest.mark.parametrize("method", ["no/such", "initialize", "ping", "logging/setLevel", "resources/subscribe"])
async def test_an_unknown_or_removed_method_is_not_found(running, wire, method):
    message = wire.new_call(5, method)
    answer = await running.post(message, wire.new_headers(message))
    assert (answer.status_code, answer.json()["error"]["code"], answer.json()["id"]) == (404, -32601, 5)


async def test_notifications_are_accepted_and_answer_nothing(running, wire):
    message = wire.note("notifications/cancelled", {"requestId": 1})
    answer = await running.post(message, {"mcp-protocol-version": NEW, "mcp-method": message["method"]})
    assert (answer.status_code, answer.content) == (202, b"")


async def test_a_response_cannot_be_posted(running):
    answer = await running.post({"jsonrpc": "2.0", "id": 1, "result": {}}, {"mcp-protocol-version": NEW})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32600)


async def test_a_batch_is_refused(running, wire):
    answer = await running.post([wire.new_call(1, "tools/list")], {"mcp-protocol-version": NEW})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32600)


async def test_an_unknown_tool_prompt_or_resource_is_an_invalid_parameter(running, wire):
    for method, params in [
        ("tools/call", {"name": "nope"}),
        ("prompts/get", {"name": "nope"}),
        ("resources/read", {"uri": "test://nope"}),
    ]:
        message = wire.new_call(1, method, params)
        answer = await running.post(message, wire.new_headers(message))
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32602)
        assert "nope" in answer.json()["error"]["message"]


async def test_progress_turns_the_answer_into_a_stream_that_ends_with_the_result(running, wire):
    message = wire.new_call(3, "tools/call", {"name": "count", "arguments": {"to": 2}})
    message["params"]["_meta"]["progressToken"] = "p"
    async with running.http.stream(
        "POST",
        "/mcp",
        content=json.dumps(message),
        headers={"content-type": "application/json", "accept": "*/*", **wire.new_headers(message)},
    ) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["x-accel-buffering"] == "no"
        events = wire.Events(answer)
        told = [await events.message() for _ in range(3)]
        assert await events.next() is None
    assert [m["params"]["progress"] for m in told[:2]] == [1, 2]
    assert {m["params"]["progressToken"] for m in told[:2]} == {"p"}
    assert told[2]["id"] == 3
    assert told[2]["result"]["content"][0]["text"] == "counted to 2"


async def test_log_messages_are_sent_only_to_those_who_asked_for_their_level(running, wire):
    running.gates.go.set()
    silent = wire.new_call(3, "tools/call", {"name": "hold", "arguments": {"say": True}})
    assert (await running.post(silent, wire.new_headers(silent))).headers["content-type"] == "application/json"
    higher = wire.new_call(3, "tools/call", {"name": "hold", "arguments": {"say": True}}, logLevel="error")
    assert (await running.post(higher, wire.new_headers(higher))).headers["content-type"] == "application/json"
    asked = wire.new_call(3, "tools/call", {"name": "hold", "arguments": {"say": True}}, logLevel="debug")
    answer = await running.post(asked, wire.new_headers(asked))
    assert answer.headers["content-type"] == "text/event-stream"
    assert '"data":"holding"' in answer.text


async def test_a_client_that_leaves_cancels_its_call(running, wire):
    message = wire.new_call(3, "tools/call", {"name": "hold", "arguments": {}})
    leaving = asyncio.create_task(running.post(message, wire.new_headers(message)))
    await running.gates.started.wait()
    leaving.cancel()
    async with asyncio.timeout(10):
        await running.gates.cancelled.wait()


async def test_a_listener_hears_what_it_asked_for_and_nothing_else(running, wire):
    wanted = {"toolsListChanged": True, "resourceSubscriptions": ["test://note"]}
    message = wire.new_call("sub", "subscriptions/listen", {"notifications": wanted})
    async with running.http.stream(
        "POST",
        "/mcp",
        content=json.dumps(message),
        headers={"content-type": "application/json", "accept": "*/*", **wire.new_headers(message)},
    ) as answer:
        events = wire.Events(answer)
        first = await events.message()
        assert first["method"] == "notifications/subscriptions/acknowledged"
        assert first["params"] == {"notifications": wanted, "_meta": {META + "subscriptionId": "sub"}}
        await running.announce(Change("prompts"))
        await running.announce(Change("resource", "test://other"))
        await running.announce(Change("resource", "test://note"))
        running.registry.changed("tools")
        updated, listed = await events.message(), await events.message()
        assert updated["params"] == {"uri": "test://note", "_meta": {META + "subscriptionId": "sub"}}
        assert listed["method"] == "notifications/tools/list_changed"
        assert listed["params"]["_meta"] == {META + "subscriptionId": "sub"}
        running.dispatcher.close_listeners()
        last = await events.message()
        assert (last["id"], last["result"]["resultType"]) == ("sub", "complete")
        assert last["result"]["_meta"][META + "subscriptionId"] == "sub"
        assert await events.next() is None


async def test_trace_context_may_come_by_header_or_by_meta(running, wire):
    seen = []
    answer_call = running.dispatcher.answer

    async def spy(call):
        seen.append(call.trace.traceparent)
        return await answer_call(call)

    running.dispatcher.answer = spy
    message = wire.new_call(1, "tools/list")
    by_header = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    by_meta = "00-" + "c" * 32 + "-" + "d" * 16 + "-01"
    await running.post(message, wire.new_headers(message) | {"traceparent": by_header})
    message["params"]["_meta"]["traceparent"] = by_meta
    await running.post(message, wire.new_headers(message) | {"traceparent": by_header})
    assert seen == [by_header, by_meta]

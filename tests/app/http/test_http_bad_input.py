"""What broken and hostile clients send: an error in the protocol's form, and the server is none the worse."""

import asyncio
import json

import pytest

OLD = {"mcp-protocol-version": "2025-11-25"}
NEW = {"mcp-protocol-version": "2026-07-28", "mcp-method": "ping"}
ERAS = pytest.mark.parametrize("era", [OLD, NEW], ids=["2025", "2026"])


def raw(request_id: bytes) -> bytes:
    return b'{"jsonrpc":"2.0","id":' + request_id + b',"method":"ping"}'


async def still_serves(running, wire):
    session = await running.initialize()
    answer = await running.post(wire.call(1, "tools/call", {"name": "echo", "arguments": {"text": "ok"}}), session)
    assert answer.json()["result"]["content"][0]["text"] == "ok"


async def refused(running, wire, body, headers, code, status=400):
    answer = await running.post(body, headers)
    assert answer.status_code == status, answer.text
    error = answer.json()
    assert error["jsonrpc"] == "2.0"
    assert error["error"]["code"] == code, error
    assert error["error"]["message"]
    await still_serves(running, wire)
    return error


@ERAS
@pytest.mark.parametrize(
    "request_id",
    [
        b"null",
        b"true",
        b"false",
        b"1.5",
        b"1.0",
        b"1e3",
        b"[]",
        b"[1]",
        b"{}",
        b"9" * 20,
        b"9" * 5000,
        b'"' + b"x" * 300 + b'"',
    ],
)
async def test_an_id_that_is_not_a_string_or_an_integer_is_refused(running, wire, era, request_id):
    error = await refused(running, wire, raw(request_id), era, -32600)
    assert error["id"] is None


@ERAS
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"{",
        b"nonsense",
        raw(b"NaN"),
        raw(b"-Infinity"),
        raw(b"1") + b"trailing",
        b"\xef\xbb\xbf" + raw(b"1"),
        b'{"jsonrpc":"2.0","id":1,"method":"\xff\xfe"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"\xed\xa0\x80"}}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"\\ud800"}}',
        b'{"jsonrpc":"2.0","id":"\\udfff","method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        b'{"a":' * 100_000,
    ],
    ids=lambda body: body[:40].decode("latin-1") or "empty",
)
async def test_what_is_not_json_is_a_parse_error(running, wire, era, body):
    error = await refused(running, wire, body, era, -32700)
    assert error["id"] is None


@ERAS
@pytest.mark.parametrize(
    ("body", "request_id"),
    [
        (b"5", None),
        (b'"x"', None),
        (b"null", None),
        (b"{}", None),
        (b'{"jsonrpc":"2.0"}', None),
        (b'{"jsonrpc":"2.0","id":3}', 3),
        (b'{"jsonrpc":"1.0","id":3,"method":"ping"}', 3),
        (b'{"id":3,"method":"ping"}', 3),
        (b'{"jsonrpc":"2.0","id":3,"method":5}', 3),
        (b'{"jsonrpc":"2.0","id":3,"method":"ping","result":{}}', 3),
        (b'{"jsonrpc":"2.0","id":3,"result":{},"error":{"code":1,"message":""}}', 3),
    ],
)
async def test_what_is_not_json_rpc_is_an_invalid_request_with_the_id_where_it_could_be_read(
    running, wire, era, body, request_id
):
    error = await refused(running, wire, body, era, -32600)
    assert error["id"] == request_id


@ERAS
@pytest.mark.parametrize(
    "body",
    [
        b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","name":"hold","arguments":{}}}',
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"text":"a","text":"b"}}}',
        b'{"jsonrpc":"2.0","id":1,"method":"ping","\\u006dethod":"tools/call"}',
    ],
)
async def test_a_repeated_key_is_refused_wherever_it_is(running, wire, era, body):
    error = await refused(running, wire, body, era, -32600)
    assert "more than once" in error["error"]["message"]


@ERAS
async def test_white_space_and_escapes_do_not_make_a_message_ambiguous(running, wire, era):
    message = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"é": 1e5, "b": 1.0}}, indent=2)
    answer = await running.post(message.encode(), era)
    assert "more than once" not in answer.text
    assert "JSON-RPC 2.0" not in answer.text


@ERAS
@pytest.mark.parametrize("params", [b"[]", b"5", b'"x"', b"null"])
async def test_parameters_that_are_not_an_object_are_invalid(running, wire, era, params):
    session = era if era is NEW else await running.initialize()
    body = b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":' + params + b"}"
    answer = await running.post(body, {**session, "mcp-method": "tools/list"})
    assert (answer.json()["error"]["code"], answer.json()["id"]) == (-32602, 1)
    await still_serves(running, wire)


async def test_arguments_nested_as_deep_as_the_decoder_goes_do_no_harm(running, wire):
    session = await running.initialize()
    for depth in (500, 900, 980, 1000, 1100):
        deep = b"[" * depth + b"]" * depth
        body = (
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"mirrored","arguments":{"a":'
            + deep
            + b"}}}"
        )
        answer = await running.post(body, session)
        assert "result" in answer.json() or answer.json()["error"]["code"] in (-32602, -32700)
    await still_serves(running, wire)


@ERAS
@pytest.mark.parametrize("content_type", [None, "text/plain", "application/xml", "application/jsonp", ""])
async def test_a_body_that_is_not_said_to_be_json_is_refused(running, wire, era, content_type):
    headers = {"accept": "*/*", **era} | ({} if content_type is None else {"content-type": content_type})
    answer = await running.http.post("/mcp", content=raw(b"1"), headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (415, -32600)
    await still_serves(running, wire)


@ERAS
@pytest.mark.parametrize(
    "accept", ["", "text/html", "application/json", "text/event-stream", "application/json;q=0, */*;q=0"]
)
async def test_a_client_that_does_not_take_both_kinds_of_answer_is_refused(running, wire, era, accept):
    await refused(running, wire, raw(b"1"), {**era, "accept": accept}, -32600, status=406)


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "application/json, text/event-stream",
        "text/*;q=0.5,application/*",
        "TEXT/EVENT-STREAM, Application/JSON; charset=utf-8",
    ],
)
async def test_every_way_of_accepting_both_is_understood(running, wire, accept):
    session = await running.initialize()
    assert (await running.post(wire.call(1, "ping"), {**session, "accept": accept})).status_code == 200


@ERAS
async def test_a_body_beyond_the_limit_is_refused(running, wire, era):
    body = b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"' + b"x" * (1024 * 1024) + b'"}}'
    await refused(running, wire, body, era, -32600, status=413)


@ERAS
async def test_a_chunked_body_beyond_the_limit_is_refused(running, wire, era):
    async def chunks():
        yield b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"'
        for _ in range(40):
            yield b"x" * 65536

    answer = await running.http.post(
        "/mcp", content=chunks(), headers={"content-type": "application/json", "accept": "*/*", **era}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, -32600)
    await still_serves(running, wire)


async def test_a_client_that_leaves_in_the_middle_of_its_body_does_no_harm(running, wire):
    _, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(b"POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAccept: */*\r\n")
    writer.write(b'Content-Length: 500\r\n\r\n{"jsonrpc":')
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await still_serves(running, wire)


async def test_a_failing_tool_tells_no_secret(running, wire, caplog):
    session = await running.initialize(capabilities={"sampling": {}})

    async def broken(arguments, context):
        raise KeyError("password=hunter2")

    running.registry.tool("echo").call = broken
    answer = await running.post(wire.call(1, "tools/call", {"name": "echo", "arguments": {}}), session)
    assert answer.json()["result"]["isError"] is True
    assert "hunter2" not in answer.text
    assert "hunter2" in caplog.text

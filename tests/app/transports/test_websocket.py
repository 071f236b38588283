"""MCP over WebSocket, against a real listening server."""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.exceptions import InvalidStatus

STATELESS = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


async def test_a_session_is_opened_and_answers_calls(serve, open_socket) -> None:
    server = await serve()
    socket = await open_socket(server.ws)
    assert socket.connection.subprotocol == "mcp"
    answer = await socket.initialize()
    assert answer["result"]["protocolVersion"] == "2025-11-25"
    assert (await socket.call(1, "echo", text="hello"))["result"]["content"] == [{"type": "text", "text": "hello"}]


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
async def test_every_revision_with_a_handshake_is_spoken(serve, open_socket, revision) -> None:
    server = await serve()
    socket = await open_socket(server.ws)
    answer = await socket.initialize(protocolVersion=revision)
    assert answer["result"]["protocolVersion"] == revision
    assert (await socket.request("a", "ping"))["result"] == {}


async def test_a_request_that_stands_alone_needs_no_handshake(serve, open_socket) -> None:
    server = await serve()
    socket = await open_socket(server.ws)
    discovered = await socket.request(1, "server/discover", {"_meta": STATELESS})
    assert "2026-07-28" in discovered["result"]["supportedVersions"]
    called = await socket.request(2, "tools/call", {"name": "echo", "arguments": {"text": "x"}, "_meta": STATELESS})
    assert called["result"]["resultType"] == "complete"


async def test_a_client_that_offers_no_subprotocol_is_served(serve, open_socket) -> None:
    server = await serve()
    socket = await open_socket(server.ws, subprotocols=None)
    assert socket.connection.subprotocol is None
    assert "result" in await socket.initialize()


async def test_a_client_that_offers_only_another_subprotocol_is_refused(serve, open_socket) -> None:
    server = await serve()
    with pytest.raises(InvalidStatus) as refused:
        await open_socket(server.ws, subprotocols=["graphql-ws"])
    assert refused.value.response.status_code == 400
    assert "mcp" in json.loads(refused.value.response.body)["error"]["message"]


async def test_messages_are_never_compressed(serve, open_socket) -> None:
    server = await serve()
    socket = await open_socket(server.ws, compression="deflate")
    assert "sec-websocket-extensions" not in socket.connection.response.headers


async def test_a_call_before_initialize_is_refused_and_the_connection_stays_usable(serve, open_socket) -> None:
    server = await serve()
    socket = await open_socket(server.ws)
    assert (await socket.call(1, "echo", text="x"))["error"]["code"] == -32600
    assert (await socket.request(2, "ping"))["result"] == {}
    assert "result" in await socket.initialize()


async def test_a_second_initialize_is_refused(serve, open_socket) -> None:
    server = await serve()
    socket = await open_socket(server.ws)
    await socket.initialize()
    assert (await socket.initialize())["error"]["code"] == -32600
    assert "result" in await socket.call(2, "echo", text="still here")


async def test_progress_comes_before_the_answer(serve, open_socket) -> None:
    server = await serve()
    socket = await open_socket(server.ws)
    await socket.initialize()
    params = {"name": "test_tool_with_progress", "arguments": {}, "_meta": {"progressToken": "p"}}
    await socket.send(id=1, method="tools/call", params=params)
    messages = [await socket.receive()]
    while "id" not in messages[-1]:
        messages.append(await socket.receive())
    assert {message["method"] for message in messages[:-1]} == {"notifications/progress"}
    assert [message["params"]["progressToken"] for message in messages[:-1]] == ["p"] * (len(messages) - 1)
    assert len(messages) > 2


async def test_a_tool_can_ask_its_client(serve, open_socket) -> None:
    server = await serve()
    socket = await open_socket(server.ws)
    await socket.initialize()
    await socket.send(id=1, method="tools/call", params={"name": "test_sampling", "arguments": {"prompt": "hi"}})
    asked = await socket.receive()
    assert asked["method"] == "sampling/createMessage"
    result = {"role": "assistant", "content": {"type": "text", "text": "forty-two"}, "model": "m"}
    await socket.send(id=asked["id"], result=result)
    answer = await socket.receive()
    assert answer["id"] == 1
    assert "forty-two" in answer["result"]["content"][0]["text"]


async def test_a_cancelled_call_gets_no_answer_and_frees_its_id(serve, open_socket) -> None:
    server = await serve()
    socket = await open_socket(server.ws)
    await socket.initialize()
    await socket.send(id=1, method="tools/call", params={"name": "wait", "arguments": {"seconds": 60}})
    assert (await socket.request(1, "ping"))["error"]["code"] == -32600  # the id is taken: the call runs
    await socket.send(method="notifications/cancelled", params={"requestId": 1})
    assert (await socket.request(2, "ping"))["id"] == 2
    assert (await socket.request(1, "ping"))["result"] == {}


async def test_a_slow_call_holds_up_no_other(serve, open_socket) -> None:
    server = await serve()
    socket = await open_socket(server.ws)
    await socket.initialize()
    await socket.send(id="slow", method="tools/call", params={"name": "wait", "arguments": {"seconds": 60}})
    assert (await socket.call("quick", "echo", text="x"))["id"] == "quick"
    await socket.send(method="notifications/cancelled", params={"requestId": "slow"})


async def test_a_subscribed_resource_that_changes_is_told(serve, open_socket) -> None:
    server = await serve()
    socket = await open_socket(server.ws)
    await socket.initialize()
    await socket.call(1, "test_trigger_tool_change")
    messages = [await socket.receive()]
    while messages[-1].get("method") != "notifications/tools/list_changed":
        messages.append(await socket.receive())


async def test_batches_are_answered_only_where_the_revision_has_them(serve, open_socket) -> None:
    server = await serve()
    pings = [{"jsonrpc": "2.0", "id": number, "method": "ping"} for number in (1, 2)]
    with_batches = await open_socket(server.ws)
    await with_batches.initialize(protocolVersion="2025-03-26")
    await with_batches.connection.send(json.dumps(pings))
    assert {(await with_batches.receive())["id"] for _ in pings} == {1, 2}
    without = await open_socket(server.ws)
    await without.initialize()
    await without.connection.send(json.dumps(pings))
    assert (await without.receive())["error"]["code"] == -32600


async def test_a_dropped_client_that_comes_back_misses_nothing_and_gets_nothing_twice(serve, open_socket) -> None:
    server = await serve()
    first = await open_socket(server.ws)
    await first.initialize()
    await first.call(1, "echo", text="seen")
    await first.send(id=2, method="tools/call", params={"name": "wait", "arguments": {"seconds": 0.2}})
    assert (await first.call(3, "echo", text="seen too"))["id"] == 3
    first.drop()
    again = await open_socket(f"{server.ws}?session_id={first.session_id}&last_event_id={first.received}")
    assert (await again.receive())["id"] == 2
    assert (await again.call(4, "echo", text="on"))["id"] == 4


async def test_what_changed_while_a_client_was_away_is_told_once_when_it_comes_back(serve, open_socket) -> None:
    server = await serve()
    away, other = await open_socket(server.ws), await open_socket(server.ws)
    await away.initialize()
    await other.initialize()
    away.drop()
    await other.call(1, "test_trigger_tool_change")
    again = await open_socket(f"{server.ws}?session_id={away.session_id}&last_event_id={away.received}")
    assert (await again.receive())["method"] == "notifications/tools/list_changed"
    assert (await again.request(2, "ping"))["id"] == 2


async def test_a_client_may_come_back_by_headers(serve, open_socket) -> None:
    server = await serve()
    first = await open_socket(server.ws)
    await first.initialize()
    await first.call(1, "echo", text="lost")
    first.drop()
    headers = {"Mcp-Session-Id": first.session_id, "Last-Event-ID": "1"}
    again = await open_socket(server.ws, additional_headers=headers)
    assert (await again.receive())["id"] == 1


async def test_a_client_that_received_nothing_comes_back_with_zero(serve, open_socket) -> None:
    server = await serve()
    first = await open_socket(server.ws)
    await first.initialize()
    again = await open_socket(f"{server.ws}?session_id={first.session_id}&last_event_id=0")
    assert (await again.receive())["result"]["protocolVersion"] == "2025-11-25"


async def test_a_client_that_comes_back_without_an_event_id_gets_what_is_new(serve, open_socket) -> None:
    server = await serve()
    first = await open_socket(server.ws)
    await first.initialize()
    again = await open_socket(f"{server.ws}?session_id={first.session_id}")
    assert (await again.call(7, "echo", text="new"))["id"] == 7


async def test_the_connection_that_takes_a_session_up_closes_the_earlier_one(serve, open_socket) -> None:
    server = await serve()
    first = await open_socket(server.ws)
    await first.initialize()
    await open_socket(f"{server.ws}?session_id={first.session_id}&last_event_id=1")
    assert await first.closed() == (1001, "the session was taken up by another connection")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("session_id=0123456789abcdef0123456789abcdef", 404),
        ("session_id={session}&last_event_id=99", 404),
        ("session_id={session}&last_event_id=-1", 400),
        ("session_id={session}&last_event_id=main:1", 400),
        ("last_event_id=1", 400),
    ],
)
async def test_a_foreign_session_or_event_is_refused_before_the_connection_opens(
    serve, open_socket, query, status
) -> None:
    server = await serve()
    first = await open_socket(server.ws)
    await first.initialize()
    with pytest.raises(InvalidStatus) as refused:
        await open_socket(f"{server.ws}?{query.format(session=first.session_id)}")
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body)["error"]["message"]


async def test_a_session_of_another_caller_is_refused(serve, open_socket) -> None:
    server = await serve(MCP_AUTH_TOKENS="alices-token-0123456789:alice,bobs-token-0123456789:bob")
    tokens = {name: {"Authorization": f"Bearer {name}s-token-0123456789"} for name in ("alice", "bob")}
    first = await open_socket(server.ws, additional_headers=tokens["alice"])
    await first.initialize()
    with pytest.raises(InvalidStatus) as refused:
        await open_socket(f"{server.ws}?session_id={first.session_id}", additional_headers=tokens["bob"])
    assert refused.value.response.status_code == 404


async def test_a_session_that_is_deleted_over_http_closes_its_connection(serve, open_socket) -> None:
    import httpx

    server = await serve()
    socket = await open_socket(server.ws)
    await socket.initialize()
    async with httpx.AsyncClient() as client:
        answer = await client.delete(f"{server.http}/mcp", headers={"Mcp-Session-Id": socket.session_id})
    assert answer.status_code == 204
    assert await socket.closed() == (1000, "the session ended")


async def test_draining_answers_what_runs_and_then_asks_clients_to_come_back(serve, open_socket) -> None:
    server = await serve(MCP_DRAIN_SECONDS=5)
    socket = await open_socket(server.ws)
    await socket.initialize()
    await socket.send(id=1, method="tools/call", params={"name": "wait", "arguments": {"seconds": 0.3}})
    await socket.request(2, "ping")
    server.server.ask_to_exit()
    assert (await socket.receive())["id"] == 1
    assert (await socket.closed())[0] == 1012


async def test_more_calls_at_once_than_the_limit_are_refused_and_the_rest_go_on(serve, open_socket) -> None:
    server = await serve()
    socket = await open_socket(server.ws)
    await socket.initialize()
    for number in range(1, 102):
        await socket.send(id=number, method="tools/call", params={"name": "wait", "arguments": {"seconds": 60}})
    refused = await socket.receive()
    assert (refused["id"], refused["error"]["code"]) == (101, -31001)
    for number in range(1, 101):
        await socket.send(method="notifications/cancelled", params={"requestId": number})
    assert (await socket.request("after", "ping"))["result"] == {}


async def test_a_client_is_pinged_and_one_that_answers_stays(serve, open_socket) -> None:
    server = await serve()
    server.server.config.ws_ping_interval = 0.05
    server.server.config.ws_ping_timeout = 5
    socket = await open_socket(server.ws)
    pinged = asyncio.Event()
    original = socket.connection.protocol.recv_frame

    def note(frame) -> None:
        if frame.opcode == 9:
            pinged.set()
        original(frame)

    socket.connection.protocol.recv_frame = note
    async with asyncio.timeout(10):
        await pinged.wait()
    assert "result" in await socket.initialize()

"""WebSocket clients that misbehave, against a real listening server."""

from __future__ import annotations

import asyncio
import json

import pytest
from websockets.exceptions import ConnectionClosed

from app.transports import websocket_protocol

PING = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}).encode()


async def is_usable(raw) -> bool:
    raw.writer.write(raw.frame(PING))
    return await raw.read_message() == {"jsonrpc": "2.0", "id": 1, "result": {}}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", -32700),
        (b"{", -32700),
        (b"nonsense", -32700),
        (b"1", -32600),
        (b"[]", -32600),
        (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":true,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":1.5,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":[1],"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}', -32700),
        (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + b"[" * 100_000 + b"]" * 100_000 + b"}", None),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_bad_message_is_answered_and_the_connection_stays_usable(serve, open_raw, text, code) -> None:
    server = await serve()
    raw = await open_raw(server.port)
    raw.writer.write(raw.frame(text))
    answer = await raw.read_message()
    assert answer["error"]["code"] == code if code else answer["error"]["code"] in (-32700, -32600)
    assert await is_usable(raw)


async def test_a_bad_message_of_a_session_is_answered_and_counted(serve, open_socket) -> None:
    server = await serve()
    socket = await open_socket(server.ws)
    await socket.initialize()
    await socket.connection.send("nonsense")
    assert (await socket.receive())["error"]["code"] == -32700
    again = await open_socket(f"{server.ws}?session_id={socket.session_id}&last_event_id=1")
    assert (await again.receive())["error"]["code"] == -32700


async def test_a_binary_frame_is_answered_and_the_connection_stays_usable(serve, open_raw) -> None:
    server = await serve()
    raw = await open_raw(server.port)
    raw.writer.write(raw.frame(PING, opcode=2))
    assert (await raw.read_message())["error"]["code"] == -32700
    assert await is_usable(raw)


async def test_a_fragmented_message_is_put_together(serve, open_raw) -> None:
    server = await serve()
    raw = await open_raw(server.port)
    raw.writer.write(raw.frame(PING[:5], fin=False))
    raw.writer.write(raw.frame(b"in between", opcode=9))
    raw.writer.write(raw.frame(PING[5:20], opcode=0, fin=False) + raw.frame(PING[20:], opcode=0))
    assert await raw.read_frame() == (10, b"in between")
    assert (await raw.read_message())["result"] == {}


async def test_a_message_of_endless_fragments_is_cut_off(serve, open_raw) -> None:
    server = await serve()
    raw = await open_raw(server.port)
    raw.writer.write(raw.frame(b"{", fin=False) + raw.frame(b"", opcode=0, fin=False) * 1_100)
    assert await raw.read_close() == 1008
    await raw.read_end()


async def test_an_oversize_frame_closes_the_connection(serve, open_raw) -> None:
    server = await serve(MCP_MAX_BODY_BYTES=10_000)
    raw = await open_raw(server.port)
    raw.writer.write(raw.frame(b"x" * 10_001))
    assert await raw.read_close() == 1009
    await raw.read_end()


async def test_an_oversize_message_of_small_frames_closes_the_connection(serve, open_raw) -> None:
    server = await serve(MCP_MAX_BODY_BYTES=10_000)
    raw = await open_raw(server.port)
    raw.writer.write(raw.frame(b"x" * 6_000, fin=False) + raw.frame(b"x" * 6_000, opcode=0, fin=False))
    assert await raw.read_close() == 1009
    await raw.read_end()


async def test_an_unmasked_frame_closes_the_connection(serve, open_raw) -> None:
    server = await serve()
    raw = await open_raw(server.port)
    raw.writer.write(raw.frame(PING, masked=False))
    assert await raw.read_close() == 1002
    await raw.read_end()


async def test_a_text_frame_that_is_not_utf_8_closes_the_connection(serve, open_raw) -> None:
    server = await serve()
    raw = await open_raw(server.port)
    raw.writer.write(raw.frame(b'"\xff"'))
    assert await raw.read_close() == 1007
    await raw.read_end()


@pytest.mark.parametrize("opcode", [3, 7, 11, 15])
async def test_a_reserved_opcode_closes_the_connection(serve, open_raw, opcode) -> None:
    server = await serve()
    raw = await open_raw(server.port)
    raw.writer.write(raw.frame(b"x", opcode=opcode))
    assert await raw.read_close() == 1002
    await raw.read_end()


async def test_a_ping_is_answered_with_its_payload(serve, open_raw) -> None:
    server = await serve()
    raw = await open_raw(server.port)
    raw.writer.write(raw.frame(b"abc", opcode=9))
    assert await raw.read_frame() == (10, b"abc")


async def test_a_flood_of_pings_closes_the_connection(serve, open_raw) -> None:
    server = await serve()
    raw = await open_raw(server.port)
    raw.writer.write(raw.frame(b"x" * 100, opcode=9) * (websocket_protocol.PINGS_A_SECOND + 5))
    assert await raw.read_close() == 1008
    await raw.read_end()


async def test_a_client_that_never_reads_is_bounded_and_cut_off(serve, open_raw, monkeypatch) -> None:
    monkeypatch.setattr(websocket_protocol, "WRITE_PATIENCE", 0.5)
    server = await serve()
    raw = await open_raw(server.port)
    raw.reader._transport.pause_reading()
    request = {"jsonrpc": "2.0", "method": "tools/call"}
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    gone = False
    for number in range(2_000):
        params = {"name": "echo", "arguments": {"text": "x" * 90_000}, "_meta": meta}
        raw.writer.write(raw.frame(json.dumps(request | {"id": number, "params": params}).encode()))
        try:
            async with asyncio.timeout(10):
                await raw.writer.drain()
        except ConnectionError:
            gone = True
            break
        (connection,) = server.server.server_state.connections or {None}
        if connection is None:
            gone = True
            break
        # What has been accepted is what the kernel and one buffer hold, however much is sent.
        assert connection.transport.get_write_buffer_size() < 2_000_000
    assert gone
    async with asyncio.timeout(10):
        while server.server.server_state.tasks:  # noqa: ASYNC110 uvicorn tells nobody
            await asyncio.sleep(0.01)


async def test_a_session_whose_client_never_reads_is_cut_off_and_can_come_back(
    serve, open_raw, open_socket, monkeypatch
) -> None:
    monkeypatch.setattr(websocket_protocol, "WRITE_PATIENCE", 0.5)
    server = await serve(MCP_MAX_EVENTS=2_000, MCP_MAX_EVENT_BYTES=100_000_000)
    socket = await open_socket(server.ws)
    await socket.initialize()
    socket.connection.transport.pause_reading()
    with pytest.raises((ConnectionClosed, TimeoutError)):
        await _ask_without_end(socket)
    assert not any(
        connection.transport.get_write_buffer_size() for connection in server.server.server_state.connections
    )
    again = await open_socket(f"{server.ws}?session_id={socket.session_id}&last_event_id=1")
    assert (await again.receive())["id"] == 1


async def _ask_without_end(socket) -> None:
    for number in range(1, 5_000):
        async with asyncio.timeout(10):
            await socket.send(
                id=number, method="tools/call", params={"name": "echo", "arguments": {"text": "y" * 90_000}}
            )

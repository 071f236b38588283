"""HTTP+SSE of 2024-11-05, against a real listening server."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from app.security.connection import ConnectionLimits


async def test_the_stream_names_an_endpoint_and_brings_the_answers(serve, open_sse) -> None:
    server = await serve()
    sse = await open_sse(server.http)
    assert sse.endpoint.startswith("/messages?session_id=")
    assert (await sse.initialize())["result"]["protocolVersion"] == "2024-11-05"
    assert (await sse.call(1, "echo", text="hello"))["result"]["content"] == [{"type": "text", "text": "hello"}]


async def test_a_tool_can_ask_its_client(serve, open_sse) -> None:
    server = await serve()
    sse = await open_sse(server.http)
    await sse.initialize()
    asked = await sse.call(1, "test_sampling", prompt="hi")
    assert asked["method"] == "sampling/createMessage"
    result = {"role": "assistant", "content": {"type": "text", "text": "forty-two"}, "model": "m"}
    await sse.post(id=asked["id"], result=result)
    assert "forty-two" in (await sse.receive())["result"]["content"][0]["text"]


async def test_a_cancelled_call_gets_no_answer(serve, open_sse) -> None:
    server = await serve()
    sse = await open_sse(server.http)
    await sse.initialize()
    await sse.post(id=1, method="tools/call", params={"name": "wait", "arguments": {"seconds": 60}})
    assert (await sse.request(1, "ping"))["error"]["code"] == -32600  # the id is taken: the call runs
    await sse.post(method="notifications/cancelled", params={"requestId": 1})
    assert (await sse.request(2, "ping"))["id"] == 2


async def test_a_call_before_initialize_is_refused(serve, open_sse) -> None:
    server = await serve()
    sse = await open_sse(server.http)
    assert (await sse.call(1, "echo", text="x"))["error"]["code"] == -32600
    assert "result" in await sse.initialize()
    assert (await sse.initialize())["error"]["code"] == -32600


async def test_a_client_that_comes_back_by_last_event_id_misses_nothing(serve, open_sse) -> None:
    server = await serve()
    sse = await open_sse(server.http)
    await sse.initialize()
    await sse.call(1, "echo", text="seen")
    await sse.post(id=2, method="tools/call", params={"name": "wait", "arguments": {"seconds": 0.2}})
    await sse.stream.close()
    await sse.post(id=3, method="tools/call", params={"name": "echo", "arguments": {"text": "unseen"}})
    await sse.open()
    assert {(await sse.receive())["id"] for _ in range(2)} == {2, 3}
    assert (await sse.call(4, "echo", text="on"))["id"] == 4


@pytest.mark.parametrize(("last", "status"), [("0123456789abcdef0123456789abcdef.1", 404), ("junk", 400), ("x.y", 400)])
async def test_a_foreign_last_event_id_is_refused(serve, open_sse, web, last, status) -> None:
    server = await serve()
    with pytest.raises(httpx.HTTPStatusError) as refused:
        await web.open("GET", f"{server.http}/sse", headers={"Last-Event-ID": last})
    assert refused.value.response.status_code == status
    sse = await open_sse(server.http)
    await sse.initialize()
    with pytest.raises(httpx.HTTPStatusError) as refused:
        await web.open("GET", f"{server.http}/sse", headers={"Last-Event-ID": f"{sse.endpoint.partition('=')[2]}.99"})
    assert refused.value.response.status_code == 404


async def test_a_post_to_an_unknown_session_is_refused(serve, web) -> None:
    server = await serve()
    answer = await web.post(f"{server.http}/messages?session_id=0123456789abcdef", id=1, method="ping")
    assert answer.status_code == 404
    answer = await web.post(f"{server.http}/messages?session_id=", id=1, method="ping")
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"nonsense", "application/json", 400),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', "application/json", 400),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', "application/json", 400),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping"}', "text/plain", 415),
        (b"x" * 20_000, "application/json", 413),
    ],
)
async def test_a_bad_post_is_answered_and_the_session_stays_usable(
    serve, open_sse, web, body, content_type, status
) -> None:
    server = await serve(MCP_MAX_BODY_BYTES=10_000)
    sse = await open_sse(server.http)
    await sse.initialize()
    url = f"{server.http}{sse.endpoint}"
    answer = await web.client.post(url, content=body, headers={"Content-Type": content_type})
    assert answer.status_code == status
    assert answer.json()["error"]["message"]
    assert (await sse.request(2, "ping"))["result"] == {}


async def test_other_methods_are_not_allowed(serve, web) -> None:
    server = await serve()
    assert (await web.client.put(f"{server.http}/sse")).status_code == 405


async def test_a_stream_that_nobody_ever_spoke_on_leaves_no_session(serve, open_sse, web) -> None:
    server = await serve()
    sse = await open_sse(server.http)
    await sse.stream.close()
    async with asyncio.timeout(10):
        while True:
            answer = await web.post(f"{server.http}{sse.endpoint}", id=1, method="ping")
            if answer.status_code == 404:
                return


async def test_a_changed_list_is_told(serve, open_sse) -> None:
    server = await serve()
    sse = await open_sse(server.http)
    await sse.initialize()
    message = await sse.call(1, "test_trigger_tool_change")
    while message.get("method") != "notifications/tools/list_changed":
        message = await sse.receive()


async def test_a_second_stream_of_a_session_ends_the_first(serve, open_sse) -> None:
    server = await serve()
    sse = await open_sse(server.http)
    await sse.initialize()
    first = sse.stream
    await sse.open()
    with pytest.raises(EOFError):
        await first.event()
    assert (await sse.request(2, "ping"))["result"] == {}


async def test_draining_answers_what_runs_and_then_ends_the_stream(serve, open_sse) -> None:
    server = await serve(MCP_DRAIN_SECONDS=5)
    sse = await open_sse(server.http)
    await sse.initialize()
    await sse.post(id=1, method="tools/call", params={"name": "wait", "arguments": {"seconds": 0.3}})
    await sse.request(2, "ping")
    server.server.ask_to_exit()
    assert (await sse.receive())["id"] == 1
    with pytest.raises(EOFError):
        await sse.stream.event()


async def test_a_quiet_stream_is_kept_alive_by_comments(serve, open_sse, monkeypatch) -> None:
    monkeypatch.setattr("app.transports._event_stream.PATIENCE", 0.05)
    server = await serve()
    sse = await open_sse(server.http)
    async with asyncio.timeout(10):
        async for line in sse.stream._lines:
            if line == ":":
                return
    pytest.fail("the stream ended")


async def test_a_client_that_never_reads_is_cut_off_and_can_come_back(serve, open_sse, web, monkeypatch) -> None:
    monkeypatch.setattr("app.security.connection.ConnectionLimits.__init__", _impatient(ConnectionLimits.__init__))
    server = await serve(MCP_MAX_EVENT_BYTES=50_000_000)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)
    writer.write(b"GET /sse HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    endpoint = (await reader.readuntil(b"data: ") + await reader.readline()).decode().rpartition("data: ")[2].strip()
    reader._transport.pause_reading()
    url = f"{server.http}{endpoint}"
    hello = {"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    await web.post(url, id=0, method="initialize", params=hello)
    await web.post(url, method="notifications/initialized")
    for number in range(100):
        await web.call(url, number, "echo", text="x" * 90_000)
    async with asyncio.timeout(10):
        while len(server.server.server_state.tasks) > 0:  # noqa: ASYNC110 uvicorn tells nobody
            await asyncio.sleep(0.01)
    writer.transport.abort()
    stream = await web.open("GET", f"{server.http}/sse", headers={"Last-Event-ID": f"{endpoint.partition('=')[2]}.1"})
    await stream.event()
    assert {(await stream.message())["id"] for _ in range(100)} == set(range(100))


def _impatient(original):
    def init(self, **limits: object) -> None:
        original(self, **{**limits, "write_timeout": 0.5})

    return init

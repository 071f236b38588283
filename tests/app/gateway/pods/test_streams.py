"""A process's standard streams over a WebSocket, as the API server carries them."""

import asyncio
import json
import logging
import time
from contextlib import suppress

import pytest
from aiohttp import web

from app.gateway.children.tail import Tail
from app.gateway.pods.api import PROTOCOLS
from app.gateway.pods.streams import RemoteLines
from app.kubernetes import ApiError

END_OF_INPUT = bytes((255, 0))
SUCCESS = b"\3" + json.dumps({"status": "Success"}).encode()


def failure(code: int) -> bytes:
    causes = [{"reason": "ExitCode", "message": str(code)}]
    return b"\3" + json.dumps({"status": "Failure", "message": "no", "details": {"causes": causes}}).encode()


@pytest.fixture
async def connect(cluster):
    """Makes lines of a process that `behave` plays."""
    ended, made, apis = [], [], []

    async def make(behave, protocols=PROTOCOLS, mask=str, **options):
        async def answer(request):
            socket = web.WebSocketResponse(protocols=protocols, max_msg_size=0)
            await socket.prepare(request)
            await behave(socket)
            return socket

        cluster.answers = [answer]
        api = cluster.api()
        apis.append(api)
        socket = await api.websocket("/exec", [("command", "it")])
        tail = Tail("server", mask)
        chosen = {"longest": 1 << 20, "after_input": 0.3, "ended": ended.append, **options}
        lines = RemoteLines(socket, tail, **chosen)
        lines.tail, lines.told = tail, ended
        made.append(lines)
        return lines

    yield make
    for lines in made:
        await lines.close()
    for api in apis:
        await api.close()


async def test_lines_come_whole_whatever_frames_they_are_in(connect):
    async def behave(socket):
        for piece in (b'{"a":', b'1}\n{"b":2}\r\n{"c"', b":3}\n"):
            await socket.send_bytes(b"\1" + piece)
        await socket.send_bytes(b"\2warming ")
        await socket.send_bytes(b"\2up\n")
        await socket.send_bytes(b"\1this is no message\n")
        await socket.send_bytes(SUCCESS)

    lines = await connect(behave)
    assert [line async for line in lines] == [b'{"a":1}', b'{"b":2}', b'{"c":3}']
    assert lines.tail.lines(5) == ["warming up", "this is no message"]
    assert (lines.reason, lines.spoke, lines.told) == ("", True, [lines])


async def test_what_is_sent_arrives_whole_and_in_order(connect):
    received = bytearray()

    async def behave(socket):
        async for message in socket:
            if message.data == END_OF_INPUT:
                await socket.send_bytes(SUCCESS)
                return
            assert len(message.data) <= 32 * 1024 + 1
            assert message.data[0] == 0
            received.extend(message.data[1:])

    lines = await connect(behave)
    large = [b"%d" % number * 100_000 for number in range(4)]
    await asyncio.gather(*(lines.send(line) for line in large))
    await lines.close()
    assert sorted(received.splitlines()) == sorted(large)
    assert not lines.lingers
    with pytest.raises(EOFError):
        await lines.send(b"{}")


async def test_a_process_that_fails_says_its_status_and_its_last_words(connect):
    async def behave(socket):
        await socket.send_bytes(b"\2cannot find the flux capacitor\n")
        await socket.send_bytes(failure(3))

    lines = await connect(behave)
    assert [line async for line in lines] == []
    assert lines.reason == "exit status 3: cannot find the flux capacitor"


async def test_a_process_that_stays_after_its_input_ended_lingers(connect):
    async def behave(socket):
        await socket.send_bytes(b'\1{"ready":true}\n')
        async for _ in socket:
            pass

    lines = await connect(behave)
    assert await anext(aiter(lines)) == b'{"ready":true}'
    await lines.close()
    assert lines.lingers
    assert lines.told == [lines]


async def test_an_older_server_is_spoken_to_as_well(connect):
    async def behave(socket):
        await socket.send_bytes(b"\1{}\n")
        async for _ in socket:
            pass

    lines = await connect(behave, protocols=("v4.channel.k8s.io",))
    assert await anext(aiter(lines)) == b"{}"
    await lines.close()
    assert lines.lingers, "an older server does not say whether the process ended"


async def test_a_lost_connection_is_an_end_with_a_reason(connect):
    async def behave(socket):
        await socket.send_bytes(b"\1{}\n")
        socket._req.transport.abort()

    lines = await connect(behave)
    assert [line async for line in lines] in ([b"{}"], [])
    assert "container" in lines.reason
    assert lines.lingers


async def test_a_line_that_is_too_long_is_answered_for_and_not_held(connect):
    async def behave(socket):
        await socket.send_bytes(b'\1{"jsonrpc":"2.0","id":7,"result":"' + b"x" * 5_000 + b'"}\n')
        await socket.send_bytes(b"\1{}\n")
        await socket.send_bytes(SUCCESS)

    lines = await connect(behave, longest=1_000)
    first, second = [line async for line in lines]
    assert json.loads(first)["id"] == 7
    assert "error" in json.loads(first)
    assert second == b"{}"


async def test_a_server_that_is_not_heard_has_to_wait(connect):
    written = 0

    async def behave(socket):
        nonlocal written
        piece = b'\1{"x":"' + b"x" * 60_000 + b'"}\n'
        for _ in range(2_000):
            await socket.send_bytes(piece)
            written += 1
        await socket.send_bytes(SUCCESS)

    lines = await connect(behave)
    for _ in range(100):
        before = written
        await asyncio.sleep(0.02)
        if written and written == before:
            break
    assert written < 1_000
    assert len([line async for line in lines]) == 2_000


@pytest.mark.parametrize("channel", [b"\1", b"\2"], ids=["output", "errors"])
async def test_a_flood_of_what_is_no_message_is_slowed_and_does_not_flood_the_log(connect, caplog, channel):
    caplog.set_level(logging.INFO, "slipway.child")
    over = asyncio.Event()

    async def behave(socket):
        piece = channel + b"garbage\n" * 4_000
        with suppress(ConnectionError):
            while not over.is_set():
                await socket.send_bytes(piece)

    lines = await connect(behave)
    began, used = time.monotonic(), time.process_time()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(anext(aiter(lines)), 1.5)
    busy = (time.process_time() - used) / (time.monotonic() - began)
    over.set()
    assert busy < 0.5
    assert 0 < len([record for record in caplog.records if record.name == "slipway.child"]) <= 200
    assert lines.tail.lines(10) == ["garbage"] * 10


async def test_what_is_no_message_is_reported_as_of_any_server(connect, caplog):
    async def behave(socket):
        await socket.send_bytes(b"\1Listening with s3cr3t\n")
        await socket.send_bytes(b'\1{"bad":"\xff"}\n{"last":1}')
        await socket.send_bytes(SUCCESS)

    lines = await connect(behave, mask=lambda text: text.replace("s3cr3t", "***"))
    assert [line async for line in lines] == [b'{"last":1}']
    told = [record.fields for record in caplog.records if "is no message" in record.message]
    assert [(each["server"], each["why"]) for each in told] == [
        ("server", "it is no JSON object"),
        ("server", "it is not UTF-8"),
    ]
    assert told[0]["line"] == "Listening with ***"


async def test_a_refused_stream_says_so(cluster, say):
    cluster.answers = [say.status(403, "Forbidden")]
    api = cluster.api()
    with pytest.raises(ApiError) as refused:
        await api.websocket("/exec", [])
    assert refused.value.status == 403
    await api.close()

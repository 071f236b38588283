"""stdio, as a process of its own with pipes."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

ROOT = Path(__file__).parents[3]
META = "io.modelcontextprotocol/"
CLIENT = {"name": "test", "version": "1"}
SERVER = """
import asyncio, os, subprocess, sys
from app.protocol.content import Implementation
from app.protocol.context import CallContext
from app.protocol.dispatcher import Dispatcher
from app.toolsets import ToolsetRegistry, tool
from app.transports.stdio import StdioServer, protocol_streams

@tool
async def echo(text: str) -> str:
    "Say it again."
    return text

@tool
async def noisy() -> str:
    "Prints, and lets a child print."
    print("noise", flush=True)
    os.write(1, b"noise\\n")
    subprocess.run([sys.executable, "-c", "print('noise')"], check=True)
    return "quiet"

@tool
async def hold(context: CallContext) -> str:
    "Waits for ever."
    await context.log("info", "holding")
    await asyncio.Event().wait()
    return "never"

@tool
async def ask(context: CallContext) -> str:
    "Asks for a name."
    answer = await context.elicit("Name?", {"type": "object", "properties": {"n": {"type": "string"}}}, key="n")
    return answer.content["n"]

async def main():
    registry = ToolsetRegistry()
    registry.add(echo, noisy, hold, ask)
    with protocol_streams() as (reader, writer):
        dispatcher = Dispatcher(registry, Implementation(name="test", version="1"))
        await StdioServer(dispatcher, reader, writer, max_line=100_000, drain=0.2).run()

asyncio.run(main())
"""


class Pipe:
    """A server process, spoken to line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def send(self, *messages: object) -> None:
        for message in messages:
            line = message if isinstance(message, bytes) else json.dumps(message).encode()
            self.process.stdin.write(line + b"\n")
        await self.process.stdin.drain()

    async def receive(self) -> Any:
        async with asyncio.timeout(20):
            return json.loads(await self.process.stdout.readline())

    async def ask(self, message: object) -> Any:
        await self.send(message)
        return await self.receive()

    async def initialize(self, revision: str = "2025-11-25", capabilities: object = None) -> Any:
        params = {
            "protocolVersion": revision,
            "capabilities": capabilities or {},
            "clientInfo": {"name": "t", "version": "1"},
        }
        answer = await self.ask(call(0, "initialize", params))
        await self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        return answer

    async def close(self) -> tuple[bytes, int]:
        """Close our end; what it still said, and its exit status."""
        self.process.stdin.close()
        async with asyncio.timeout(20):
            out, _ = await self.process.communicate()
        return out, self.process.returncode


def call(request_id: object, method: str, params: object = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, **({} if params is None else {"params": params})}


def new_call(
    request_id: object, method: str, params: dict[str, Any] | None = None, capabilities: object = None
) -> dict[str, Any]:
    meta = {META + "protocolVersion": "2026-07-28", META + "clientCapabilities": capabilities or {}}
    return call(request_id, method, {**(params or {}), "_meta": meta})


@asynccontextmanager
async def _started() -> AsyncIterator[Pipe]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SERVER,
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Pipe(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.fixture
async def pipe() -> AsyncIterator[Pipe]:
    async with _started() as pipe:
        yield pipe


async def test_a_session_of_the_older_era_works_and_ends_with_its_input(pipe):
    assert (await pipe.initialize())["result"]["protocolVersion"] == "2025-11-25"
    answer = await pipe.ask(call("a", "tools/call", {"name": "echo", "arguments": {"text": "hi"}}))
    assert answer == {"jsonrpc": "2.0", "id": "a", "result": {"content": [{"type": "text", "text": "hi"}]}}
    assert await pipe.close() == (b"", 0)


async def test_the_newer_era_needs_no_handshake(pipe):
    found = await pipe.ask(new_call(1, "server/discover"))
    assert found["result"]["supportedVersions"][0] == "2026-07-28"
    answer = await pipe.ask(new_call(2, "tools/call", {"name": "echo", "arguments": {"text": "hi"}}))
    assert answer["result"]["resultType"] == "complete"


async def test_both_eras_share_one_pipe(pipe):
    await pipe.initialize()
    assert "resultType" not in (await pipe.ask(call(1, "tools/list")))["result"]
    assert (await pipe.ask(new_call(2, "tools/list")))["result"]["resultType"] == "complete"


async def test_nothing_but_the_protocol_reaches_stdout(pipe):
    await pipe.initialize()
    answer = await pipe.ask(call(1, "tools/call", {"name": "noisy", "arguments": {}}))
    assert answer["result"]["content"][0]["text"] == "quiet"
    assert await pipe.close() == (b"", 0)


async def test_requests_are_answered_although_the_input_ends_right_after_them(pipe):
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": CLIENT}
    lines = [call(0, "initialize", params), {"jsonrpc": "2.0", "method": "notifications/initialized"}]
    lines += [call(n, "tools/call", {"name": "echo", "arguments": {"text": str(n)}}) for n in range(1, 20)]
    await pipe.send(*lines)
    out, status = await pipe.close()
    assert status == 0
    assert sorted(json.loads(line)["id"] for line in out.splitlines()) == list(range(20))


async def test_a_call_that_never_ends_does_not_keep_the_process_once_its_input_ended(pipe):
    await pipe.initialize()
    assert (await pipe.ask(call(1, "tools/call", {"name": "hold"})))["method"] == "notifications/message"
    assert (await pipe.close())[1] == 0


async def test_a_cancelled_call_is_not_answered(pipe):
    await pipe.initialize()
    assert (await pipe.ask(call(1, "tools/call", {"name": "hold"})))["method"] == "notifications/message"
    await pipe.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}})
    assert (await pipe.ask(call(2, "ping")))["id"] == 2
    assert await pipe.close() == (b"", 0)


async def test_an_id_that_is_in_flight_cannot_be_used_again(pipe):
    await pipe.initialize()
    await pipe.ask(call(1, "tools/call", {"name": "hold"}))
    assert (await pipe.ask(call(1, "ping")))["error"]["code"] == -32600


async def test_the_client_is_asked_and_answers(pipe):
    await pipe.initialize(capabilities={"elicitation": {}})
    asked = await pipe.ask(call(1, "tools/call", {"name": "ask"}))
    assert asked["method"] == "elicitation/create"
    answer = {"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"n": "Ada"}}}
    assert (await pipe.ask(answer))["result"]["content"][0]["text"] == "Ada"


async def test_input_is_asked_for_in_rounds_in_the_newer_era(pipe):
    first = await pipe.ask(new_call(1, "tools/call", {"name": "ask"}, {"elicitation": {}}))
    state = first["result"]["requestState"]
    again = {
        "name": "ask",
        "requestState": state,
        "inputResponses": {"n": {"action": "accept", "content": {"n": "Ada"}}},
    }
    second = await pipe.ask(new_call(2, "tools/call", again, {"elicitation": {}}))
    assert second["result"]["content"][0]["text"] == "Ada"


async def test_a_subscription_is_a_stream_of_lines_that_the_client_ends(pipe):
    acknowledged = await pipe.ask(new_call("s", "subscriptions/listen", {"notifications": {"toolsListChanged": True}}))
    assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
    await pipe.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "s"}})
    assert (await pipe.ask(new_call(2, "tools/list")))["id"] == 2


async def test_subscriptions_end_with_a_result_when_the_input_ends(pipe):
    await pipe.ask(new_call("s", "subscriptions/listen", {"notifications": {"toolsListChanged": True}}))
    out, status = await pipe.close()
    assert (json.loads(out)["id"], status) == ("s", 0)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"nonsense", -32700),
        (b"[]", -32600),
        (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"ping","id":2}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}', -32600),
        (b'{"jsonrpc":"2.0","id":1,"method":"x","params":"' + b"x" * 200_000 + b'"}', -32600),
        (b'{"a":' * 10_000, -32700),
        (b"\xff\xfe", -32700),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_bad_input_is_answered_and_the_pipe_stays_usable(pipe, line, code):
    assert (await pipe.ask(line))["error"]["code"] == code
    assert (await pipe.ask(call(5, "ping")))["result"] == {}


async def test_empty_lines_and_carriage_returns_are_no_messages(pipe):
    await pipe.send(b"", b"\r", b"   ")
    assert (await pipe.ask(json.dumps(call(5, "ping")).encode() + b"\r"))["result"] == {}


async def test_a_batch_is_answered_as_one_line_where_the_revision_has_them(pipe):
    assert (await pipe.initialize("2025-03-26"))["result"]["protocolVersion"] == "2025-03-26"
    answer = await pipe.ask([call(1, "ping"), call(2, "ping"), {"jsonrpc": "2.0", "id": 3}])
    assert sorted((item["id"], "error" in item) for item in answer) == [(1, False), (2, False), (3, True)]


async def test_a_second_initialize_is_refused(pipe):
    await pipe.initialize()
    assert (await pipe.initialize())["error"]["code"] == -32600


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_official_client_works_in_both_modes(mode):
    server = StdioServerParameters(command=sys.executable, args=["-c", SERVER], cwd=ROOT, env=dict(os.environ))
    async with Client(stdio_client(server), mode=mode) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == ["echo", "noisy", "hold", "ask"]
        assert (await client.call_tool("echo", {"text": "hi"})).content[0].text == "hi"

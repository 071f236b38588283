"""A listening server with tools that wait for the test, and what speaks to it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn

from app.asgi import CALLER, Receive, Scope, Send
from app.protocol.calls import ANONYMOUS, Caller
from app.protocol.changes import Change
from app.protocol.content import Implementation
from app.protocol.context import CallContext, InputRequest
from app.protocol.dispatcher import Dispatcher
from app.protocol.sealing import StateSealer
from app.sessions.memory import MemoryStore
from app.toolsets import ToolsetRegistry, prompt, resource, tool
from app.transports._channel import Switchboard
from app.transports.http import StreamableHttp
from app.transports.messages import BareMessages

NEW = "2026-07-28"
META = "io.modelcontextprotocol/"
JSON = {"content-type": "application/json", "accept": "application/json, text/event-stream"}
CLIENT = {"name": "test", "version": "1"}
MAX_BODY = 1024 * 1024


@dataclass
class Gates:
    """What lets a test see and steer a running tool."""

    started: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    calls: int = 0


def make_registry(gates: Gates) -> ToolsetRegistry:  # noqa: C901
    """The tools of the tests."""

    @tool
    async def echo(text: str) -> str:
        """Say it again."""
        gates.calls += 1
        return text

    @tool
    async def hold(context: CallContext, say: bool = False) -> str:
        """Wait until the test lets go."""
        gates.started.set()
        if say:
            await context.log("info", "holding")
        try:
            await gates.go.wait()
        except asyncio.CancelledError:
            gates.cancelled.set()
            raise
        return "held"

    @tool
    async def count(context: CallContext, to: int) -> str:
        """Report progress for every number."""
        for number in range(1, to + 1):
            await context.progress(number, to, f"at {number}")
        return f"counted to {to}"

    @tool
    async def ask_name(context: CallContext, greeting: str = "hello") -> str:
        """Ask for a name, then for a colour."""
        schema = {"type": "object", "properties": {"value": {"type": "string"}}, "required": ["value"]}
        name = await context.elicit("What is your name?", schema, key="name")
        if name.action != "accept":
            return f"no name: {name.action}"
        colour = await context.elicit("Which colour?", schema, key="colour")
        gates.calls += 1
        return f"{greeting}: {name.content['value']} likes {colour.content['value']}"

    @tool
    async def think(context: CallContext, question: str) -> str:
        """Ask the client's model."""
        message = {"role": "user", "content": {"type": "text", "text": question}}
        answer = await context.sample([message], 50)
        return answer["content"]["text"]

    @tool
    async def where(context: CallContext) -> str:
        """Ask for roots."""
        answers = await context.ask({"roots": InputRequest("roots/list", {})})
        return ",".join(root["uri"] for root in answers["roots"]["roots"])

    @tool(
        input_schema={
            "type": "object",
            "properties": {
                "region": {"type": "string", "x-mcp-header": "Region"},
                "size": {"type": "integer", "x-mcp-header": "Size"},
                "deep": {"type": "object", "properties": {"flag": {"type": "boolean", "x-mcp-header": "Flag"}}},
            },
        }
    )
    async def mirrored(arguments: dict[str, Any]) -> str:
        """Has arguments that clients repeat as headers."""
        return json.dumps(arguments, sort_keys=True)

    @prompt
    async def greet(name: str) -> str:
        """Greet somebody."""
        return f"Say hello to {name}."

    @resource("test://note", name="note", mime_type="text/plain")
    async def remember() -> str:
        """A note."""
        return "noted"

    registry = ToolsetRegistry()
    registry.add(echo, hold, count, ask_name, think, where, mirrored, greet, remember)
    return registry


@dataclass
class Running:
    """The server under test."""

    port: int
    dispatcher: Dispatcher
    store: MemoryStore
    board: Switchboard
    endpoint: StreamableHttp
    registry: ToolsetRegistry
    gates: Gates
    http: httpx.AsyncClient
    sealer: StateSealer

    async def post(self, body: object, headers: Mapping[str, str] | None = None, path: str = "/mcp") -> httpx.Response:
        """POST a message; `body` may be bytes as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.http.post(path, content=content, headers={**JSON, **(headers or {})})

    async def initialize(
        self, revision: str = "2025-11-25", capabilities: Mapping[str, Any] | None = None, **headers: str
    ) -> dict[str, str]:
        """Open a session; the headers for what follows."""
        params = {"protocolVersion": revision, "capabilities": capabilities or {}, "clientInfo": CLIENT}
        answer = await self.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}, headers)
        assert answer.status_code == 200, answer.text
        told = {"mcp-session-id": answer.headers["mcp-session-id"], "mcp-protocol-version": revision, **headers}
        assert (await self.post(note("notifications/initialized"), told)).status_code == 202
        return told

    async def announce(self, change: Change) -> None:
        """Something that is offered changed."""
        await self.dispatcher.changes.announce(change)


def call(request_id: object, method: str, params: object = None) -> dict[str, Any]:
    """A request."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": request_id, "method": method}
    return message if params is None else {**message, "params": params}


def note(method: str, params: object = None) -> dict[str, Any]:
    """A notification."""
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
    return message if params is None else {**message, "params": params}


def new_call(
    request_id: object,
    method: str,
    params: Mapping[str, Any] | None = None,
    *,
    capabilities: object = None,
    **meta: Any,
) -> dict[str, Any]:
    """A request of 2026-07-28."""
    said = {
        META + "protocolVersion": NEW,
        META + "clientInfo": CLIENT,
        META + "clientCapabilities": capabilities or {},
        **{META + key: value for key, value in meta.items()},
    }
    return call(request_id, method, {**(params or {}), "_meta": said})


def new_headers(message: Mapping[str, Any]) -> dict[str, str]:
    """The headers that belong to a request of 2026-07-28."""
    headers = {"mcp-protocol-version": NEW, "mcp-method": message["method"]}
    params = message.get("params", {})
    if message["method"] in ("tools/call", "prompts/get"):
        headers["mcp-name"] = params["name"]
    elif message["method"] == "resources/read":
        headers["mcp-name"] = params["uri"]
    return headers


class Events:
    """Reads server-sent events off a streamed answer."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self) -> dict[str, str] | None:
        """The next event's fields, comments left out; None at the end."""
        fields: dict[str, str] = {}
        async for line in self._lines:
            if not line:
                if fields:
                    return fields
            elif not line.startswith(":"):
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
        return fields or None

    async def message(self) -> dict[str, Any]:
        """The next JSON message; fails at the end of the stream."""
        while (event := await self.next()) is not None:
            if event.get("data"):
                return json.loads(event["data"])
        raise AssertionError("the stream ended")


@pytest.fixture
def wire() -> type:
    """The builders of messages, for tests to use by name."""

    class Wire:
        call = staticmethod(call)
        note = staticmethod(note)
        new_call = staticmethod(new_call)
        new_headers = staticmethod(new_headers)
        Events = Events

    return Wire


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    """A server on a port of its own. The header `x-caller` says who calls, in place of the guard."""
    gates = Gates()
    registry = make_registry(gates)
    store = MemoryStore()
    board = Switchboard(store)
    sealer = StateSealer(["k" * 32])
    dispatcher = Dispatcher(registry, Implementation(name="test", version="1"), sealer=sealer)
    endpoint = StreamableHttp(dispatcher, store, board, max_body_bytes=MAX_BODY)
    bare = BareMessages(dispatcher, max_body_bytes=MAX_BODY)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        name = dict(scope["headers"]).get(b"x-caller")
        scope[CALLER] = Caller(subject=name.decode()) if name else ANONYMOUS
        await (bare if scope["path"] == "/messages" else endpoint)(scope, receive, send)

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(application, http="httptools", ws="none", lifespan="off", log_level="error")
    server = uvicorn.Server(config)
    await board.start()
    serving = asyncio.create_task(server._serve([listener]))
    port = listener.getsockname()[1]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
        yield Running(port, dispatcher, store, board, endpoint, registry, gates, http, sealer)
        gates.go.set()
        await endpoint.drain()
        await dispatcher.close()
    server.should_exit = True
    server.force_exit = True
    await serving
    await board.close()
    await store.close()

"""The same toolset behind the `mcp` package's own server and behind ours: the same answers, revision by revision."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import mcp_types as types
import msgspec
import pytest
from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

from app.protocol.content import Implementation
from app.protocol.dispatcher import Dispatcher
from app.protocol.revisions import HANDSHAKE_REVISIONS, NEWEST, REVISIONS, STATELESS_REVISIONS, Revision
from app.sessions.memory import MemoryStore
from app.toolsets import Image, ToolAnnotations, ToolsetRegistry, prompt, resource, resource_template, tool
from app.transports._channel import Switchboard
from app.transports.http import StreamableHttp

SERVER = {"name": "differential", "version": "1"}
INSTRUCTIONS = "Add, say, and look."
PIXEL = b"\x89PNG"


class Sum(msgspec.Struct):
    total: int


@tool(title="Add", annotations=ToolAnnotations(read_only_hint=True))
async def add(first: int, second: int = 1) -> Sum:
    """Add two numbers."""
    return Sum(first + second)


@tool
async def say(text: str) -> str:
    """Say it."""
    return text


@tool
async def picture() -> Image:
    """A picture."""
    return Image(data=base64.b64encode(PIXEL).decode(), mime_type="image/png")


@prompt(title="Travel")
async def travel(city: str, season: str = "summer") -> str:
    """Plan a journey."""
    return f"To {city} in {season}."


@travel.completes("city")
async def cities(value: str, others: Mapping[str, str]) -> list[str]:
    return [city for city in ("Paris", "Porto") if city.startswith(value)]


@resource("test://text", mime_type="text/plain")
async def text() -> str:
    """A text."""
    return "hello"


@resource("test://picture", mime_type="image/png")
async def pixel() -> bytes:
    """A picture."""
    return PIXEL


@resource_template("test://{name}/card", mime_type="text/plain")
async def card(name: str) -> str:
    """A card for anyone."""
    return f"Dear {name}"


OFFERS = (add, say, picture, travel, text, pixel, card)
CLIENT = {"name": "differential", "version": "1"}
TRAVEL = {"type": "ref/prompt", "name": "travel"}
NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}

REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("ping", {}),
    ("tools/list", {}),
    ("tools/call", {"name": "add", "arguments": {"first": 2}}),
    ("tools/call", {"name": "add", "arguments": {"first": 2, "second": 3}}),
    ("tools/call", {"name": "say", "arguments": {"text": "h\u00e9 \u2603 \U0001f600"}}),
    ("tools/call", {"name": "picture"}),
    ("tools/call", {"name": "picture", "arguments": {}}),
    ("tools/call", {"arguments": {}}),
    ("tools/call", {"name": "add", "arguments": [1]}),
    ("resources/list", {}),
    ("resources/templates/list", {}),
    ("resources/read", {"uri": "test://text"}),
    ("resources/read", {"uri": "test://picture"}),
    ("resources/read", {"uri": "test://Ada/card"}),
    ("resources/read", {}),
    ("prompts/list", {}),
    ("prompts/get", {"name": "travel", "arguments": {"city": "Porto"}}),
    ("prompts/get", {"name": "travel", "arguments": {"city": 1}}),
    ("prompts/get", {}),
    (
        "completion/complete",
        {"ref": {"type": "ref/prompt", "name": "travel"}, "argument": {"name": "city", "value": "P"}},
    ),
    ("completion/complete", {"ref": {"type": "ref/prompt", "name": "travel"}}),
    ("nonesuch", {}),
    ("tasks/list", {}),
    ("server/discover", {}),
    ("initialize", {}),
]


# Which era these belong to, the package sees by the session that they name, and we by the method.
OF_ONE_ERA = ("initialize", "server/discover")
# Over the newer era's headers, the package calls this a mismatch of headers, and we an invalid parameter.
NAMED_BY_A_NUMBER = ("tools/call", {"name": 7})


@dataclass
class Peer:
    """One of the two servers, with what it takes to talk to it."""

    client: httpx.AsyncClient
    ids: Any = field(default_factory=lambda: itertools.count(1))

    async def post(self, body: dict[str, Any], **headers: str) -> httpx.Response:
        accept = {"accept": "application/json, text/event-stream"}
        return await self.client.post(
            "/mcp", json=body, headers=accept | {k.replace("_", "-"): v for k, v in headers.items()}
        )

    async def ask(self, method: str, params: dict[str, Any], **headers: str) -> httpx.Response:
        return await self.post({"jsonrpc": "2.0", "id": next(self.ids), "method": method, "params": params}, **headers)

    async def open(self, revision: str) -> tuple[httpx.Response, dict[str, str]]:
        """The answer to `initialize`, and the headers of the session that it began."""
        wish = {"protocolVersion": revision, "capabilities": {}, "clientInfo": CLIENT}
        opened = await self.ask("initialize", wish)
        headers = {"mcp_session_id": opened.headers["mcp-session-id"], "mcp_protocol_version": revision}
        accepted = await self.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, **headers)
        assert accepted.status_code == 202
        return opened, headers

    async def ask_statelessly(self, revision: str, method: str, params: dict[str, Any]) -> httpx.Response:
        headers = {"mcp_protocol_version": revision, "mcp_method": method}
        if (name := params.get(NAMED.get(method, ""))) is not None:
            headers["mcp_name"] = str(name)
        meta = {
            "io.modelcontextprotocol/protocolVersion": revision,
            "io.modelcontextprotocol/clientInfo": CLIENT,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        return await self.ask(method, params | {"_meta": meta}, **headers)


def to_wire(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def definitions(offers: Any) -> list[Any]:
    return [to_wire(offer.definition) for offer in offers]


class Surroundings:
    """As much of a call as the toolset above looks at."""

    caller = None


def reference() -> Server[Any]:
    """The toolset on the package's own server: only what answers it gives is its business, not how it dispatches."""
    registry = ToolsetRegistry()
    registry.add(*OFFERS)
    context: Any = Surroundings()

    async def list_tools(_: Any, __: Any) -> types.ListToolsResult:
        return types.ListToolsResult.model_validate({"tools": definitions(registry.tools())})

    async def call_tool(_: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        found: Any = registry.tool(params.name)
        sent = None if params.arguments is None else msgspec.Raw(msgspec.json.encode(params.arguments))
        return types.CallToolResult.model_validate(to_wire(await found.call(sent, context)))

    async def list_resources(_: Any, __: Any) -> types.ListResourcesResult:
        return types.ListResourcesResult.model_validate({"resources": definitions(registry.resources())})

    async def list_templates(_: Any, __: Any) -> types.ListResourceTemplatesResult:
        listed = {"resourceTemplates": definitions(registry.templates())}
        return types.ListResourceTemplatesResult.model_validate(listed)

    async def read(_: Any, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        found: Any = registry.resource(str(params.uri))
        return types.ReadResourceResult.model_validate(to_wire(await found.read(str(params.uri), context)))

    async def list_prompts(_: Any, __: Any) -> types.ListPromptsResult:
        return types.ListPromptsResult.model_validate({"prompts": definitions(registry.prompts())})

    async def get_prompt(_: Any, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        found: Any = registry.prompt(params.name)
        return types.GetPromptResult.model_validate(to_wire(await found.get(params.arguments or {}, context)))

    async def complete(_: Any, params: types.CompleteRequestParams) -> types.CompleteResult:
        asked = params.ref.model_dump(mode="json")
        found = await registry.complete(asked, params.argument.name, params.argument.value, {})
        return types.CompleteResult.model_validate({"completion": to_wire(found)})

    return Server(
        SERVER["name"],
        version=SERVER["version"],
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
    )


@asynccontextmanager
async def over_http(app: Any) -> AsyncIterator[Peer]:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield Peer(client)


@asynccontextmanager
async def both() -> AsyncIterator[tuple[Peer, Peer]]:
    """Our server and the `mcp` package's, on fresh stores."""
    manager = StreamableHTTPSessionManager(reference(), json_response=True)
    registry = ToolsetRegistry(INSTRUCTIONS)
    registry.add(*OFFERS)
    dispatcher = Dispatcher(registry, Implementation(**SERVER))
    store = MemoryStore()
    board = Switchboard(store)
    await board.start()
    try:
        async with (
            manager.run(),
            over_http(StreamableHttp(dispatcher, store, board)) as ours,
            over_http(manager.asgi_app) as theirs,
        ):
            yield ours, theirs
    finally:
        await board.close()
        await dispatcher.close()
        await store.close()


def answer(response: httpx.Response) -> dict[str, Any]:
    """The response in a body that is JSON, or in the last event of a stream."""
    if response.headers["content-type"].startswith("text/event-stream"):
        data = [line[6:] for line in response.text.splitlines() if line.startswith("data: ") and line[6:].strip()]
        return json.loads(data[-1])
    return json.loads(response.text)


def comparable(response: httpx.Response, revision: Revision) -> dict[str, Any]:
    """An answer without what may differ: the words of errors, how long to keep a list, what a default is said for."""
    body = answer(response)
    seen: dict[str, Any] = {"status": response.status_code, "jsonrpc": body["jsonrpc"]}
    if "error" in body:
        return seen | {"error": body["error"]["code"]}
    result: dict[str, Any] = body["result"]
    for member, kind in (("ttlMs", int), ("cacheScope", str)):
        if member in result:
            assert isinstance(result[member], kind)
            result[member] = kind.__name__
    if result.get("isError") is False:
        del result["isError"]
    if "capabilities" in result:
        result["capabilities"] = sorted(set(result["capabilities"]) & {"tools", "prompts", "resources", "completions"})
        if not revision.completion_capability:
            result["capabilities"] = [name for name in result["capabilities"] if name != "completions"]
    if "supportedVersions" in result:
        result["supportedVersions"] = [name for name in result["supportedVersions"] if REVISIONS[name].stateless]
    completion = result.get("completion", {})
    if completion.get("hasMore") is False:
        del completion["hasMore"]
    return seen | {"result": _without(result, _lacking(revision))}


def _lacking(revision: Revision) -> set[str]:
    """Members that a revision does not have: the package sends them all the same, we leave them out."""
    lacking: set[str] = set()
    if not revision.titles:
        lacking.add("title")
    if not revision.structured_output:
        lacking |= {"outputSchema", "structuredContent"}
    if not revision.tool_annotations:
        lacking.add("annotations")
    return lacking


def _without(value: Any, names: set[str]) -> Any:
    if isinstance(value, list):
        return [_without(entry, names) for entry in value]
    if isinstance(value, dict):
        return {key: _without(entry, names) for key, entry in value.items() if key not in names}
    return value


@pytest.mark.parametrize("revision", [r.name for r in HANDSHAKE_REVISIONS])
async def test_a_session_gets_the_same_answers(revision: str) -> None:
    known = REVISIONS[revision]
    said: dict[str, list[Any]] = {"ours": [], "theirs": []}
    async with both() as (ours, theirs):
        for peer, answers in ((ours, said["ours"]), (theirs, said["theirs"])):
            opening, session = await peer.open(revision)
            answers.append(comparable(opening, known))
            for request in [*REQUESTS, NAMED_BY_A_NUMBER]:
                if request[0] not in OF_ONE_ERA:
                    answers.append((request, comparable(await peer.ask(*request, **session), known)))
    assert said["ours"] == said["theirs"]


@pytest.mark.parametrize("revision", [r.name for r in STATELESS_REVISIONS])
async def test_requests_without_a_session_get_the_same_answers(revision: str) -> None:
    known = REVISIONS[revision]
    said: dict[str, list[Any]] = {"ours": [], "theirs": []}
    async with both() as (ours, theirs):
        for peer, answers in ((ours, said["ours"]), (theirs, said["theirs"])):
            for request in REQUESTS:
                answers.append((request, comparable(await peer.ask_statelessly(revision, *request), known)))
    assert said["ours"] == said["theirs"]


@pytest.mark.parametrize("asked_for", ["2020-01-01", "2026-07-28"])
async def test_a_version_that_has_no_handshake_is_answered_with_one_that_has(asked_for: str) -> None:
    wish = {"protocolVersion": asked_for, "capabilities": {}, "clientInfo": CLIENT}
    async with both() as (ours, theirs):
        ours_said, theirs_said = [answer(await peer.ask("initialize", wish)) for peer in (ours, theirs)]
    assert ours_said["result"]["protocolVersion"] == theirs_said["result"]["protocolVersion"]


@pytest.mark.parametrize(
    "headers",
    [
        {"mcp_protocol_version": "2026-07-28"},
        {"mcp_protocol_version": "2026-07-28", "mcp_method": "tools/call"},
        {"mcp_protocol_version": "2026-07-28", "mcp_method": "tools/call", "mcp_name": "other"},
        {"mcp_protocol_version": "2026-07-28", "mcp_method": "tools/list", "mcp_name": "say"},
        {"mcp_protocol_version": "2099-01-01", "mcp_method": "tools/call", "mcp_name": "say"},
        {"mcp_protocol_version": "2026-07-28", "mcp_method": "tools/call", "mcp_name": "=?base64?c2F5?="},
        {"mcp_protocol_version": "2026-07-28", "mcp_method": "tools/call", "mcp_name": "=?base64?c2F5"},
    ],
    ids=str,
)
async def test_headers_that_do_not_say_what_the_body_says_are_refused_alike(headers: dict[str, str]) -> None:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": CLIENT,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": "say", "arguments": {"text": "x"}, "_meta": meta}
    async with both() as (ours, theirs):
        ours_said = comparable(await ours.ask("tools/call", params, **headers), NEWEST)
        theirs_said = comparable(await theirs.ask("tools/call", params, **headers), NEWEST)
    assert ours_said == theirs_said


@pytest.mark.parametrize("headers", [{}, {"mcp_protocol_version": "2025-11-25"}], ids=str)
async def test_a_body_of_the_new_era_under_old_headers_is_refused_by_both_for_reasons_of_their_own(
    headers: dict[str, str],
) -> None:
    """The specification asks for HeaderMismatch; the package looks at the header alone and misses a session."""
    params = {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}
    async with both() as (ours, theirs):
        ours_said = comparable(await ours.ask("tools/list", params, **headers), NEWEST)
        theirs_said = comparable(await theirs.ask("tools/list", params, **headers), NEWEST)
    assert (ours_said["status"], ours_said["error"]) == (400, -32602)
    assert (theirs_said["status"], theirs_said["error"]) == (400, -32600)


@pytest.mark.parametrize(
    "left_out", ["io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities", "all"]
)
async def test_metadata_that_is_missing_is_refused_alike(left_out: str) -> None:
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    meta.pop(left_out, None)
    params = {} if left_out == "all" else {"_meta": meta}
    headers = {"mcp_protocol_version": "2026-07-28", "mcp_method": "tools/list"}
    async with both() as (ours, theirs):
        ours_said = comparable(await ours.ask("tools/list", params, **headers), NEWEST)
        theirs_said = comparable(await theirs.ask("tools/list", params, **headers), NEWEST)
    assert ours_said == theirs_said

"""A small MCP client: any transport, any era."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, Self, cast
from urllib.parse import urlsplit

from app.client._http import BareLink, SseLink
from app.client._messages import ClientError, JsonObject, Link, RemoteError
from app.client._streamable import HttpLink
from app.client._streams import StdioLink, WebSocketLink
from app.protocol.errors import HEADER_MISMATCH, UNSUPPORTED_PROTOCOL_VERSION
from app.protocol.params import META_CAPABILITIES, META_CLIENT_INFO, META_VERSION
from app.protocol.revisions import NEWEST, NEWEST_WITH_HANDSHAKE, REVISIONS, STATELESS_REVISIONS, Revision

TransportName = Literal["stdio", "http", "sse", "websocket", "bare"]
Watcher = Callable[[str, JsonObject], None]
"""Is told of each notification: its method and its params."""
Elicit = Callable[[JsonObject], Awaitable[JsonObject]]
"""Answers an elicitation: gets its params, returns `{"action": …, "content": …}`."""

_ROUNDS = 10  # times that one request may come back asking for input


def transport_of(target: str) -> TransportName:
    """What a target looks like: a URL says it by its scheme and path, anything else is a command."""
    url = urlsplit(target)
    if url.scheme in ("ws", "wss"):
        return "websocket"
    if url.scheme not in ("http", "https"):
        return "stdio"
    match url.path.rstrip("/").rpartition("/")[2]:
        case "sse":
            return "sse"
        case "messages":
            return "bare"
        case _:
            return "http"


def revision_named(name: str) -> Revision | None:
    """The revision that a person asks for: its date, `new`, `old`, or `auto` (None)."""
    if name == "auto":
        return None
    known = {"new": NEWEST, "old": NEWEST_WITH_HANDSHAKE, **REVISIONS}
    if name not in known:
        raise ClientError(f"there is no era {name!r}: give auto, new, old or one of {', '.join(REVISIONS)}")
    return known[name]


class Client:
    """Use as an async context manager; `revision` is what was agreed on, None on bare JSON-RPC."""

    def __init__(
        self,
        target: str,
        *,
        transport: TransportName | None = None,
        revision: Revision | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        watch: Watcher | None = None,
        elicit: Elicit | None = None,
    ) -> None:
        self.transport: TransportName = transport or transport_of(target)
        self.revision: Revision | None = None
        self.server_info: JsonObject = {}
        self._wanted = revision
        self._watch = watch
        self._elicit = elicit
        self._ids = itertools.count(1)
        self._link = self._make_link(target, headers or {}, timeout)

    async def __aenter__(self) -> Self:
        try:
            await self._link.open()
            if self.transport != "bare":
                await self._agree()
        except BaseException:
            await self._link.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._link.close()

    async def request(self, method: str, params: JsonObject | None = None) -> JsonObject:
        """Send a request; where the server asks for input first, answer and send it again."""
        given = dict(params or {})
        for _ in range(_ROUNDS):
            result = await self._link.request(self._message(method, given))
            if result.get("resultType") != "input_required":
                return result
            given["inputResponses"] = await self._inputs(result.get("inputRequests") or {})
            if "requestState" in result:
                given["requestState"] = result["requestState"]
        raise ClientError(f"{method} asked for input {_ROUNDS} times: giving up")

    async def list_tools(self) -> list[JsonObject]:
        """Every tool, from every page."""
        tools: list[JsonObject] = []
        cursor: Any = None
        while True:
            page = await self.request("tools/list", {"cursor": cursor} if cursor else {})
            tools += page.get("tools", [])
            cursor = page.get("nextCursor")
            if not cursor:
                return self._link.mirror.learn(tools) if isinstance(self._link, HttpLink) else tools

    async def call_tool(self, name: str, arguments: JsonObject) -> JsonObject:
        """The result of one tool call."""
        params = {"name": name, "arguments": arguments}
        try:
            return await self.request("tools/call", params)
        except RemoteError as error:
            if error.code != HEADER_MISMATCH or not isinstance(self._link, HttpLink):
                raise
        await self.list_tools()  # some of its arguments are repeated in headers: the list says which
        return await self.request("tools/call", params)

    def _make_link(self, target: str, headers: Mapping[str, str], timeout: float) -> Link:
        match self.transport:
            case "stdio":
                return StdioLink(target, self._handle)
            case "websocket":
                return WebSocketLink(target, self._handle, headers)
            case "sse":
                return SseLink(target, self._handle, headers, timeout)
            case "bare":
                return BareLink(target, headers, timeout)
            case "http":
                return HttpLink(target, self._handle, headers, timeout)

    async def _agree(self) -> None:
        """Speak the wanted revision; with none wanted the newest that the server has."""
        wanted = self._wanted
        if wanted is None and self.transport == "sse":
            wanted = REVISIONS["2024-11-05"]
        if wanted is not None:
            await (self._discover(wanted) if wanted.stateless else self._initialize(wanted))
            return
        try:
            await self._discover(NEWEST)
        except RemoteError as error:
            known = _stateless_in(error)
            await (self._discover(known) if known is not None else self._initialize(NEWEST_WITH_HANDSHAKE))
        except ClientError:
            # A server of the older era may answer what it does not know with anything at all.
            if self.transport != "http":
                raise
            await self._initialize(NEWEST_WITH_HANDSHAKE)

    async def _discover(self, revision: Revision) -> None:
        self._speak(revision)
        result = await self._link.request(self._message("server/discover", {}))
        meta = result.get("_meta", {})
        self.server_info = meta.get("io.modelcontextprotocol/serverInfo") or result.get("serverInfo") or {}

    async def _initialize(self, revision: Revision) -> None:
        self.revision = None
        self._link.agreed(revision.name)
        params = {
            "protocolVersion": revision.name,
            "capabilities": self._capabilities(),
            "clientInfo": _client_info(),
        }
        result = await self._link.request(self._message("initialize", params))
        agreed = REVISIONS.get(str(result.get("protocolVersion")))
        if agreed is None or agreed.stateless:
            raise ClientError(f"the server speaks revision {result.get('protocolVersion')!r}, which we do not")
        self.server_info = result.get("serverInfo", {})
        self._speak(agreed)
        await self._link.notify({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def _speak(self, revision: Revision) -> None:
        self.revision = revision
        self._link.agreed(revision.name)

    def _message(self, method: str, params: JsonObject) -> JsonObject:
        meta: JsonObject = dict(params.get("_meta", {}))
        if self.revision is not None and self.revision.stateless:
            meta[META_VERSION] = self.revision.name
            meta[META_CAPABILITIES] = self._capabilities()
            meta[META_CLIENT_INFO] = _client_info()
        number = next(self._ids)
        if method == "tools/call" and self.transport != "bare":
            meta["progressToken"] = number
        whole = {**params, "_meta": meta} if meta else params
        return {"jsonrpc": "2.0", "id": number, "method": method, "params": whole}

    def _capabilities(self) -> JsonObject:
        return {"elicitation": {}} if self._elicit else {}

    async def _handle(self, message: JsonObject) -> JsonObject | None:
        method = str(message["method"])
        params: JsonObject = message.get("params") or {}
        if "id" not in message:
            if self._watch is not None:
                self._watch(method, params)
            return None
        answer: JsonObject = {"jsonrpc": "2.0", "id": message["id"]}
        if method == "ping":
            return {**answer, "result": {}}
        if method == "elicitation/create" and self._elicit is not None:
            return {**answer, "result": await self._elicit(params)}
        return {**answer, "error": {"code": -32601, "message": f"this client does not serve {method}"}}

    async def _inputs(self, wanted: JsonObject) -> JsonObject:
        answers: JsonObject = {}
        for name, request in wanted.items():
            if request.get("method") != "elicitation/create" or self._elicit is None:
                raise ClientError(f"the server asks for {request.get('method')}, which this client does not serve")
            answers[name] = await self._elicit(request.get("params") or {})
        return answers


def _stateless_in(error: RemoteError) -> Revision | None:
    """The newest revision without a handshake that a server which refused ours says it speaks."""
    data = error.data
    if error.code != UNSUPPORTED_PROTOCOL_VERSION or not isinstance(data, dict):
        return None
    supported: object = cast("JsonObject", data).get("supported")
    names = cast("list[object]", supported) if isinstance(supported, list) else []
    return next((r for r in reversed(STATELESS_REVISIONS) if r.name in names), None)


def _client_info() -> JsonObject:
    from app.version import VERSION

    return {"name": "slipway", "version": VERSION}

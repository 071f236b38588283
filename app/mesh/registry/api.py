"""The registry's own HTTP API: registering, heartbeats, lists and lookups."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Awaitable, Callable

import msgspec

from app.asgi import ASGIApp, Receive, Scope, Send, respond
from app.mesh.checks import MAX_BODY_BYTES, check_name, check_tags, read_registration
from app.mesh.model import Beats, State, view
from app.mesh.problems import Problem, shown
from app.mesh.registry.access import Access
from app.mesh.registry.directory import Entry
from app.mesh.registry.discovery import DEFAULT_LIMIT, MAX_LIMIT, Discovery, Query
from app.mesh.registry.http import (
    JSON,
    Disconnected,
    Parameters,
    answer,
    cursor_of,
    header,
    method_not_allowed,
    place_of,
    read_body,
    refuse,
)
from app.mesh.registry.service import MAX_BEATS, Registry
from app.mesh.versions import VersionError

Endpoint = Callable[[Scope, Receive, Send], Awaitable[None]]
_MAX_BEATS_BODY = 512 * 1024
_STATES = {state.word: state for state in State}
_DISCOVER = frozenset({"capability", "version", "tag", "limit"})
_LIST = frozenset({"name", "state", "cursor", "limit"})
_decode_beats = msgspec.json.Decoder(Beats).decode
_encode = msgspec.json.Encoder().encode


class Api:
    """The endpoints under /agents, /heartbeats and /discover."""

    def __init__(self, registry: Registry, access: Access, discovery: Discovery, *, name: str) -> None:
        self._registry = registry
        self._replica = registry.replica
        self._access = access
        self._discovery = discovery
        self._name = (b"slipway-registry", name.encode("ascii", "replace"))
        self._sorted: tuple[int, list[str]] = (-1, [])

    def routes(self) -> dict[str, ASGIApp]:
        """What is served at exact paths."""
        return {
            "/agents": self.guarded(self._agents),
            "/heartbeats": self.guarded(self._heartbeats),
            "/discover": self.guarded(self._discover),
        }

    def guarded(self, endpoint: Endpoint) -> ASGIApp:
        """The endpoint, with its refusals answered as problems."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await endpoint(scope, receive, send)
            except Problem as problem:
                await refuse(send, problem, headers=(self._name, *self._access.challenge(problem)))
            except Disconnected:
                return

        return serve

    async def one(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (an ASGI application)
        """`/agents/{id}`."""
        agent = scope["path"].removeprefix("/agents/")
        if scope["method"] == "DELETE":
            await self._registry.deregister(agent, self._access.requester(scope))
            await respond(send, 204, b"", headers=(self._name,))
            return
        if scope["method"] not in ("GET", "HEAD"):
            raise method_not_allowed(scope["method"], "GET", "DELETE")
        self._access.reader(scope)
        entry = self._replica.directory.get(agent)
        if entry is None:
            raise Problem(404, "There is no such agent", f"id {shown(agent)} is not registered, or is gone")
        await answer(send, 200, view(entry.record, entry.state, entry.load), headers=self._marks())

    async def _agents(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            who = self._access.registrant(scope)
            told = read_registration(await read_body(receive, MAX_BODY_BYTES))
            status, made = await self._registry.register(told, who)
            location = (b"location", b"/agents/" + made.id.encode())
            await answer(send, status, made, headers=(self._name, location))
            return
        if scope["method"] not in ("GET", "HEAD"):
            raise method_not_allowed(scope["method"], "GET", "POST")
        self._access.reader(scope)
        await self._list(Parameters(scope, _LIST), send)

    async def _list(self, query: Parameters, send: Send) -> None:
        name, state = query.one("name"), query.choice("state", _STATES)
        limit = query.number("limit", DEFAULT_LIMIT, MAX_LIMIT)
        after = place_of(query.one("cursor"))
        wanted = None if state is None else _STATES[state]
        ids = sorted(entry.record.id for entry in self._replica.directory.named(name)) if name else self._ids()
        shown_: list[Entry] = []
        more = False
        for at in range(bisect_right(ids, after), len(ids)):
            entry = self._replica.directory.get(ids[at])
            if entry is None or (wanted is not None and entry.state is not wanted):
                continue
            if len(shown_) == limit:
                more = True
                break
            shown_.append(entry)
        told: dict[str, object] = {"agents": [view(entry.record, entry.state, entry.load) for entry in shown_]}
        if more:
            told["nextCursor"] = cursor_of(shown_[-1].record.id)
        if not self._replica.up:
            told["stale"] = True
        await answer(send, 200, told, headers=self._marks())

    def _ids(self) -> list[str]:
        """All ids in order; sorted once for as long as nothing changes."""
        directory = self._replica.directory
        if self._sorted[0] != directory.version:
            self._sorted = (directory.version, sorted(directory.entries))
        return self._sorted[1]

    async def _heartbeats(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            raise method_not_allowed(scope["method"], "POST")
        body = await read_body(receive, _MAX_BEATS_BODY)
        try:
            beats = _decode_beats(body).beats
        except msgspec.ValidationError as error:
            raise Problem(422, "These are no heartbeats", f"the body: {error}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Problem(400, "This is not JSON", f"the body cannot be read: {error}") from None
        if len(beats) > MAX_BEATS:
            detail = f"beats has {len(beats)} heartbeats: send at most {MAX_BEATS} at once"
            raise Problem(422, "These are too many heartbeats", detail, field="beats")
        told = await self._registry.beat(beats, self._access.requester(scope))
        body = _encode(told)
        headers = [(b"content-type", JSON), (b"content-length", b"%d" % len(body)), self._name]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _discover(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        if scope["method"] not in ("GET", "HEAD"):
            raise method_not_allowed(scope["method"], "GET")
        self._access.reader(scope)
        found = self._discovery.find(read_query(scope), stale=not self._replica.up)
        etag = found.etag.encode()
        headers = ((b"etag", etag), (b"cache-control", b"no-cache"), *self._marks())
        known = header(scope, b"if-none-match")
        if known is not None and (found.etag in (tag.strip().removeprefix("W/") for tag in known.split(","))):
            await send({"type": "http.response.start", "status": 304, "headers": list(headers)})
            await send({"type": "http.response.body", "body": b""})
            return
        await respond(send, 200, found.body, content_type=JSON, headers=headers)

    def _marks(self) -> tuple[tuple[bytes, bytes], ...]:
        """Who answers, and how old it is where that matters."""
        away = self._replica.away_for
        return (self._name,) if not away else (self._name, (b"slipway-stale", b"%d" % away))


def read_query(scope: Scope, known: frozenset[str] = _DISCOVER) -> Query:
    """What a lookup asks for. Raises `Problem`."""
    query = Parameters(scope, known)
    capability = query.one("capability")
    if not capability:
        raise Problem(400, "The query cannot be read", "capability is missing: name one", field="capability")
    check_name("capability", capability)
    limit = query.number("limit", DEFAULT_LIMIT, MAX_LIMIT)
    made = Query(capability, query.one("version") or "*", check_tags("tag", tuple(query.many("tag"))), limit)
    try:
        made.check()
    except VersionError as error:
        raise Problem(400, "The query cannot be read", f"version: {error}", field="version") from None
    return made

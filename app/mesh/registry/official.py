"""The read side of the official MCP Registry API: an agent is a server there, and its endpoints are remotes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from app.asgi import Receive, Scope, Send
from app.mesh.model import State, when
from app.mesh.problems import Problem, shown
from app.mesh.registry.access import Access
from app.mesh.registry.directory import Directory, Entry
from app.mesh.registry.http import Parameters, answer, cursor_of, method_not_allowed, place_of
from app.mesh.versions import VersionError, parse_version

NAMESPACE = "io.mcp.mesh"
SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"
_OFFICIAL = "io.modelcontextprotocol.registry/official"
_OURS = f"{NAMESPACE}/agents"
_LIST = frozenset({"cursor", "limit", "search", "updated_since", "version", "include_deleted"})
_ONE = frozenset({"include_deleted"})
_DEFAULT_LIMIT, _MAX_LIMIT = 30, 100
_MOST_REMOTES = 50
Server = dict[str, Any]


class OfficialApi:
    """The endpoints under /v0 and /v0.1. `version` is the program's."""

    def __init__(self, directory: Directory, access: Access, *, version: str) -> None:
        self._directory = directory
        self._access = access
        self._plain: dict[str, object] = {"ping": {"pong": True}, "health": {"status": "ok"}}
        self._plain["version"] = {"version": version}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (an ASGI application)
        if scope["method"] not in ("GET", "HEAD"):
            raise method_not_allowed(scope["method"], "GET")
        # A server's name has a slash, which clients send as %2F: the path as it was sent tells it from the others.
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        what, *parts = [unquote(part) for part in raw.decode("latin-1").partition("?")[0].split("/")[2:]]
        if what in self._plain and not parts:
            await answer(send, 200, self._plain[what])
            return
        if what != "servers":
            raise _nothing(scope)
        self._access.reader(scope)
        if len(parts) > 1 and parts[0] == NAMESPACE:  # the slash was sent as it is
            parts[:2] = [f"{parts[0]}/{parts[1]}"]
        match parts:
            case [] | [""]:
                await answer(send, 200, self._list(Parameters(scope, _LIST)))
            case [name]:
                await answer(send, 200, self._one(name, "latest", Parameters(scope, _ONE)))
            case [name, "versions"]:
                servers = self._named(name, Parameters(scope, _ONE))
                await answer(send, 200, {"servers": servers, "metadata": {"count": len(servers)}})
            case [name, "versions", version]:
                await answer(send, 200, self._one(name, version, Parameters(scope, _ONE)))
            case _:
                raise _nothing(scope)

    def _list(self, query: Parameters) -> dict[str, Any]:
        limit = query.number("limit", _DEFAULT_LIMIT, _MAX_LIMIT)
        search = (query.one("search") or "").lower()
        version = query.one("version")
        since = _since(query.one("updated_since"))
        deleted = _wants_deleted(query) or since is not None
        name, _, text = place_of(query.one("cursor")).partition(" ")
        after = (name, text)
        found: list[Server] = []
        metadata: dict[str, Any] = {}
        for server in self._after(after, search):
            if not _fits(server, version, since, deleted=deleted):
                continue
            if len(found) == limit:
                last = found[-1]["server"]
                place = f"{last['name'].partition('/')[2]} {last['version']}"
                metadata["nextCursor"] = cursor_of(place)
                break
            found.append(server)
        return {"servers": found, "metadata": {"count": len(found), **metadata}}

    def _after(self, place: tuple[str, str], search: str) -> Iterator[Server]:
        """All servers after a name and a version, in the order of both."""
        for name in sorted(self._directory.by_name):
            if name < place[0]:
                continue
            entries = list(self._directory.named(name))
            if search in f"{NAMESPACE}/{name}".lower() or _can(entries, search):
                for server in _servers(name, entries):
                    if (name, server["server"]["version"]) > place:
                        yield server

    def _one(self, name: str, version: str, query: Parameters) -> Server:
        for server in self._named(name, query):
            if _is_version(server, version):
                return server
        raise Problem(404, "There is no such server", f"{shown(name)} has no version {shown(version)}")

    def _named(self, name: str, query: Parameters) -> list[Server]:
        """All versions, the newest first."""
        namespace, _, agent = name.partition("/")
        entries = list(self._directory.named(agent)) if namespace == NAMESPACE else []
        deleted = _wants_deleted(query)
        every = _servers(agent, entries) if entries else []
        servers = [one for one in every if deleted or not _is_deleted(one)]
        if not servers:
            raise Problem(404, "There is no such server", f"{shown(name)} is not registered, or is gone")
        return sorted(servers, key=_precedence, reverse=True)


def _nothing(scope: Scope) -> Problem:
    return Problem(404, "There is nothing here", f"there is nothing at {shown(scope['path'])}")


def _can(entries: Sequence[Entry], search: str) -> bool:
    """Whether a capability that the description names has the text in it."""
    profiles = {id(entry.record.profile): entry.record.profile for entry in entries}
    return any(search in ability.name.lower() for profile in profiles.values() for ability in profile.abilities)


def _servers(name: str, entries: Iterable[Entry]) -> list[Server]:
    """One server a version, ordered by the version's text."""
    versions: dict[str, list[Entry]] = {}
    for entry in entries:
        versions.setdefault(_version(entry), []).append(entry)
    living = [version for version, some in versions.items() if any(one.state is not State.GONE for one in some)]
    latest = max(living or versions, key=parse_version)
    return [_server(name, version, versions[version], latest=version == latest) for version in sorted(versions)]


def _server(name: str, version: str, entries: Sequence[Entry], *, latest: bool) -> Server:
    living = [entry for entry in entries if entry.state is not State.GONE]
    capabilities = sorted({ability.name for entry in entries for ability in entry.record.profile.abilities})
    what = ", ".join(capabilities)
    changed = max(max(entry.record.changed, entry.turned or 0.0) for entry in entries)
    remotes = [
        {"type": "streamable-http", "url": f"{entry.record.endpoint}/mcp"}
        for entry in sorted(living, key=lambda entry: (entry.state, entry.record.endpoint))[:_MOST_REMOTES]
    ]
    return {
        "server": {
            "$schema": SCHEMA,
            "name": f"{NAMESPACE}/{name}",
            "description": f"Agent that can do: {what}"[:100] if what else "Agent of the mesh",
            "version": version,
            **({"remotes": remotes} if remotes else {}),
        },
        "_meta": {
            _OFFICIAL: {
                "status": "active" if living else "deleted",
                "statusChangedAt": when(changed),
                "publishedAt": when(min(entry.record.registered for entry in entries)),
                "updatedAt": when(changed),
                "isLatest": latest,
            },
            _OURS: {
                "capabilities": capabilities,
                "healthy": sum(entry.state is State.HEALTHY for entry in entries),
                "degraded": sum(entry.state is State.DEGRADED for entry in entries),
            },
        },
    }


def _version(entry: Entry) -> str:
    """An agent has the version that its metadata says, or the highest of what it can do."""
    said = (entry.record.metadata or {}).get("version")
    if said is not None:
        try:
            parse_version(said)
        except VersionError:
            pass
        else:
            return said
    return max((ability.version for ability in entry.record.profile.abilities), key=parse_version, default="0.0.0")


def _fits(server: Server, version: str | None, since: datetime | None, *, deleted: bool) -> bool:
    if version is not None and not _is_version(server, version):
        return False
    if since is not None and datetime.fromisoformat(server["_meta"][_OFFICIAL]["updatedAt"]) < since:
        return False
    return deleted or not _is_deleted(server)


def _wants_deleted(query: Parameters) -> bool:
    return query.choice("include_deleted", {"true": 1, "false": 0}) == "true"


def _is_deleted(server: Server) -> bool:
    return server["_meta"][_OFFICIAL]["status"] == "deleted"


def _is_version(server: Server, version: str) -> bool:
    return version == server["server"]["version"] or (version == "latest" and server["_meta"][_OFFICIAL]["isLatest"])


def _precedence(server: Server) -> Any:
    return parse_version(server["server"]["version"])


def _since(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        remedy = "give a time like 2026-01-31T08:00:00Z"
        raise Problem(400, "The query cannot be read", f"updated_since is {shown(text)}: {remedy}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

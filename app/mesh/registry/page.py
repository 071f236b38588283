"""The page at `/`: an empty frame with what identifies this replica; its script draws what `/overview` tells."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import chain, islice
from typing import Any

import msgspec

from app.asgi import Receive, Scope, Send, respond
from app.mesh.model import State
from app.mesh.problems import Problem, shown
from app.mesh.registry.access import Access
from app.mesh.registry.directory import Entry, Shelf
from app.mesh.registry.http import JSON, header, method_not_allowed
from app.mesh.registry.replica import Replica
from app.web.assets import assets
from app.web.page import head, token_form

_POLICY = (
    b"default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_SAFE = (
    (b"content-security-policy", _POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
_FOR_EVER = (b"cache-control", b"public, max-age=31536000, immutable")
_MOST_CAPABILITIES = 60
_MOST_DOTS = 300


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page says of the replica."""

    service: str
    registry: str
    version: str
    store: str


class Page:
    """The endpoints at `/`, `/overview` and under `/page/`."""

    def __init__(self, about: Shown, replica: Replica, access: Access) -> None:
        self._about = about
        self._replica = replica
        self._access = access
        self._kept: tuple[str, bytes] = ("", b"")

    async def frame(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 (an ASGI application)
        _only_get(scope)
        body = render(self._about).encode()
        kept = (b"cache-control", b"no-cache")
        await respond(send, 200, body, content_type=b"text/html; charset=utf-8", headers=(kept, *_SAFE))

    async def asset(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        _only_get(scope)
        name = scope["path"].removeprefix("/page/")
        found = assets().at(name)
        if found is None:
            raise Problem(404, "There is nothing here", f"there is no file {shown(name)}: load the page again")
        headers = [_FOR_EVER, (b"vary", b"accept-encoding"), *_SAFE]
        body = found.body
        if "gzip" in (header(scope, b"accept-encoding") or ""):
            body = found.compressed
            headers.append((b"content-encoding", b"gzip"))
        await respond(send, 200, body, content_type=found.content_type.encode(), headers=headers)

    async def overview(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        _only_get(scope)
        self._access.reader(scope)
        etag = f'"{self._replica.directory.version}{"" if self._replica.up else "-stale"}"'
        headers = ((b"etag", etag.encode()), (b"cache-control", b"no-cache"), *_SAFE)
        if header(scope, b"if-none-match") == etag:
            await send({"type": "http.response.start", "status": 304, "headers": list(headers)})
            await send({"type": "http.response.body", "body": b""})
            return
        if self._kept[0] != etag:
            self._kept = (etag, msgspec.json.encode(summary(self._replica)))
        await respond(send, 200, self._kept[1], content_type=JSON, headers=headers)


def render(about: Shown) -> str:
    """The whole page."""
    title, registry = escape(about.service), escape(about.registry)
    facts = (("Registry", registry), ("Version", escape(about.version)), ("Agents are kept in", escape(about.store)))
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    keys = "".join(
        f'<li><svg viewBox="0 0 18 18" width="18" height="18" aria-hidden="true">{shape}</svg>{name}</li>'
        for name, shape in (
            ("healthy", '<circle class="agent healthy" cx="9" cy="9" r="6"/>'),
            ("degraded: missed a heartbeat", '<path class="agent degraded" d="M9 2.5 L15.5 14 L2.5 14 Z"/>'),
            ("gone", '<path class="agent gone" d="M4 4 L14 14 M14 4 L4 14"/>'),
        )
    )
    body = (
        f"<header><h1>{title}</h1><p>Registry of the mesh: {registry}</p></header><main>"
        '<p id="connection" role="status" data-state="opening">Connecting…</p><p id="away" role="status" hidden></p>'
        f"{token_form('Show the agents', hidden=True)}<dl>{listed}</dl>"
        '<section aria-labelledby="agents-title"><h2 id="agents-title">Agents: <span id="agents-count"></span></h2>'
        f'<ul class="key">{keys}</ul><p id="none">Nobody has registered yet. Start an agent with '
        "<code>slipway agent --registry</code> and the address of this page.</p>"
        '<div id="capabilities"></div><p id="more" hidden></p><template id="capability-item"><section class="row">'
        '<h3></h3><p></p><svg role="img"></svg><small></small></section></template></section></main>'
    )
    return f"{head(about.service, script='mesh.js')}<body>{body}</body></html>"


def summary(replica: Replica) -> dict[str, Any]:
    """What is drawn: those capabilities that most agents have, and a bounded number of agents of each."""
    directory = replica.directory
    shelves = sorted(directory.shelves.items(), key=lambda pair: (-_size(pair[1]), pair[0]))
    gone: dict[str, list[Entry]] = {}
    if directory.counts[State.GONE]:
        for entry in directory.entries.values():
            if entry.state is State.GONE:
                for name in {ability.name for ability in entry.record.profile.abilities}:
                    gone.setdefault(name, []).append(entry)
    return {
        "counts": {state.word: directory.counts[state] for state in State},
        "capabilities": [_capability(name, shelf, gone.get(name, [])) for name, shelf in shelves[:_MOST_CAPABILITIES]],
        "more": max(0, len(shelves) - _MOST_CAPABILITIES),
        "stale": not replica.up,
    }


def _capability(name: str, shelf: Shelf, gone: list[Entry]) -> dict[str, Any]:
    offers = list(shelf.offers.values())
    healthy = chain.from_iterable(offer.healthy.values() for offer in offers)
    degraded = list(chain.from_iterable(offer.degraded.values() for offer in offers))
    # Who is not well is drawn first, for it is what somebody looks for.
    drawn = islice(chain(degraded, gone, healthy), _MOST_DOTS)
    return {
        "name": name,
        "versions": sorted({offer.ability.version for offer in offers})[:5],
        "healthy": sum(len(offer.healthy) for offer in offers),
        "degraded": len(degraded),
        "gone": len(gone),
        "agents": [
            {
                "name": entry.record.name,
                "replica": entry.record.replica,
                "endpoint": entry.record.endpoint,
                "state": entry.state.word,
            }
            for entry in drawn
        ],
    }


def _size(shelf: Shelf) -> int:
    return sum(len(offer.healthy) + len(offer.degraded) for offer in shelf.offers.values())


def _only_get(scope: Scope) -> None:
    if scope["method"] not in ("GET", "HEAD"):
        raise method_not_allowed(scope["method"], "GET")

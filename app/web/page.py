"""The page at `/`, rendered here: everything that is not ours is escaped, and nothing is fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from shlex import quote
from typing import Any, cast

import msgspec

from app.protocol.content import ToolDefinition
from app.web.assets import assets


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the page says of the server."""

    service: str
    version: str
    toolsets: Sequence[str]
    stores: Mapping[str, str]
    revisions: Sequence[str]
    base: str
    """The address that the browser came by, without a slash at its end."""
    wants_token: bool
    has_map: bool = False
    has_servers: bool = False
    """Whether it is a gateway, whose servers are at /servers."""


def head(title: str, *, up: str = "", script: str) -> str:
    """All before a page's body; `up` leads from the page's folder to the server's root."""
    files = assets()
    style, code = escape(f"{up}page/{files['page.css'].path}"), escape(f"{up}page/{files[script].path}")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{escape(title)}</title>'
        f'<link rel="icon" href="data:,"><link rel="stylesheet" href="{style}">'
        f'<script src="{code}" type="module"></script></head>'
    )


def token_form(label: str, *, hidden: bool = False) -> str:
    """Asks for the token that calls need."""
    return (
        f'<form id="token-form"{" hidden" if hidden else ""}><label for="token">Token</label>'
        '<input id="token" type="password" autocomplete="off" required>'
        f'<button type="submit">{escape(label)}</button></form>'
    )


def render_page(facts: Facts, tools: Sequence[ToolDefinition]) -> str:
    """The whole page."""
    title = escape(facts.service)
    form = token_form("Show the tools") if facts.wants_token else ""
    shown = "" if facts.wants_token else render_tools(tools, facts.has_servers)
    extra = (_map() if facts.has_map else "") + (_servers() if facts.has_servers else "")
    body = (
        f"<header><h1>{title}</h1><p>MCP server, version {escape(facts.version)}</p></header>"
        f"<main>{_running(facts)}{extra}{_commands(facts, tools)}"
        f'<section aria-labelledby="tools-title"><h2 id="tools-title">Tools</h2>{form}'
        f'<div id="tools">{shown}</div></section>{_live()}</main>'
        '<p id="said" role="status" class="away"></p>'
    )
    return f"{head(facts.service, script='page.js')}<body>{body}</body></html>"


def render_tools(tools: Sequence[ToolDefinition], of_servers: bool = False) -> str:
    """Each tool with a form to try it."""
    if not tools and of_servers:
        return "<p>No tools yet: they come with the servers. Load the page again once one is ready.</p>"
    if not tools:
        return "<p>No tools are served. <code>MCP_TOOLSETS</code> says which are.</p>"
    return "".join(map(_tool, tools))


def _running(facts: Facts) -> str:
    rows = {
        "Endpoint": f"<code>{escape(facts.base)}/mcp</code>",
        "Protocol": escape(", ".join(reversed(facts.revisions))),
        "Toolsets": escape(", ".join(facts.toolsets)),
        "Stores": escape(", ".join(f"{what} in {where}" for what, where in facts.stores.items())),
        "Health": '<a href="health">health</a> · <a href="ready">ready</a> · <a href="metrics">metrics</a>',
    }
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in rows.items())
    return f'<section aria-labelledby="run-title"><h2 id="run-title">Running</h2><dl>{listed}</dl></section>'


def _commands(facts: Facts, tools: Sequence[ToolDefinition]) -> str:
    """Ways to connect, each to copy."""
    url = f"{facts.base}/mcp"
    websocket = url.replace("http", "ws", 1)
    listing = '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
    settings = msgspec.json.encode({"mcpServers": {facts.service: {"type": "http", "url": url}}}).decode()
    trial = _trial(tools)
    token = " --token-file token.txt" if facts.wants_token else ""
    header = " -H 'Authorization: Bearer …'" if facts.wants_token else ""
    commands = {
        "Call a tool": f"slipway call{token} {quote(url)} {trial}".rstrip(),
        "Over a WebSocket": f"slipway call{token} {quote(websocket)} {trial}".rstrip(),
        "With curl": f"curl -s{header} {quote(facts.base + '/messages')} -H 'Content-Type: application/json' "
        f"-d {quote(listing)}",
        "In a client's settings": settings,
    }
    blocks = "".join(
        f'<div class="command"><h3>{escape(label)}</h3><pre><code>{escape(text)}</code></pre>'
        f'<button type="button" data-copy>Copy<span class="away"> the command “{escape(label)}”</span></button></div>'
        for label, text in commands.items()
    )
    return f'<section aria-labelledby="use-title"><h2 id="use-title">Use it</h2>{blocks}</section>'


def _trial(tools: Sequence[ToolDefinition]) -> str:
    """A tool that can be called without thinking, as words for `slipway call`."""
    for tool in tools:
        schema = _object(tool.input_schema)
        required = cast("list[str]", schema.get("required") or [])
        properties = _object(schema.get("properties"))
        if all(_object(properties.get(name)).get("type") == "string" for name in required):
            return " ".join((quote(tool.name), *(f"{quote(name)}=hello" for name in required)))
    return ""


def _map() -> str:
    """The way to the maps."""
    return (
        '<section aria-labelledby="map-title"><h2 id="map-title">Map</h2>'
        "<p>What agents draw with the map's tools appears here as they do it. "
        '<a href="map/default">Open the map “default”</a>, or one that a tool named:</p>'
        '<form id="map-form"><label for="map-session">Map session</label>'
        '<input id="map-session" required maxlength="128" pattern="[A-Za-z0-9._\\-]+" autocomplete="off" '
        'title="Letters, digits, - _ and .">'
        '<button type="submit">Open</button></form></section>'
    )


def _servers() -> str:
    """A gateway's external servers; filled by the script."""
    columns = ("Server", "State", "Tools", "Restarts", "What runs", "Remark")
    heads = "".join(f'<th scope="col">{column}</th>' for column in columns)
    return (
        '<section aria-labelledby="servers-title"><h2 id="servers-title">Servers</h2>'
        '<p id="servers-now" role="status"></p><div id="servers-frame" class="table" hidden><table id="servers">'
        f'<caption class="away">Servers</caption><thead><tr>{heads}</tr></thead><tbody></tbody></table></div>'
        "<p>Each is served alone at <code>/servers/&lt;name&gt;/mcp</code>. "
        'They are started and stopped over <a href="docs">the REST API</a> or by <code>slipway servers</code>.</p>'
        "</section>"
    )


def _live() -> str:
    """Who is connected and what was called; filled by the script."""
    tables = {
        "live-sessions": ("Sessions", ("Client", "Revision", "Calls", "Last call")),
        "live-calls": ("Latest calls", ("Call", "Client", "Outcome", "Took", "When")),
    }
    made = "".join(
        f'<div class="table"><table id="{name}"><caption>{caption}</caption><thead><tr>'
        + "".join(f'<th scope="col">{column}</th>' for column in columns)
        + "</tr></thead><tbody></tbody></table></div>"
        for name, (caption, columns) in tables.items()
    )
    return (
        '<section id="live" aria-labelledby="live-title" hidden><h2 id="live-title">Live on this replica</h2>'
        f'<p id="live-now"></p>{made}</section>'
    )


def _tool(tool: ToolDefinition) -> str:
    schema = _object(tool.input_schema)
    required = set(cast("list[str]", schema.get("required") or []))
    fields = "".join(
        _field(tool.name, name, _object(about), schema, needed=name in required)
        for name, about in _object(schema.get("properties")).items()
    )
    title = tool.title if isinstance(tool.title, str) else ""
    description = tool.description if isinstance(tool.description, str) else ""
    short = description.partition("\n")[0] or title
    label = escape(tool.name) + (f'<span class="short">{escape(short)}</span>' if short else "")
    rest = description.partition("\n")[2].strip()
    more = f"<p>{escape(rest)}</p>" if rest else ""
    return (
        f'<details class="tool"><summary>{label}</summary>{more}'
        f'<form data-tool="{escape(tool.name)}">{fields}<button type="submit">Call {escape(tool.name)}</button>'
        '<output aria-live="polite"></output></form></details>'
    )


def _field(tool: str, name: str, about: Mapping[str, Any], schema: Mapping[str, Any], *, needed: bool) -> str:
    about = _resolved(about, schema)
    kind = _kind(about)
    identity = escape(f"{tool}-{name}")
    known = f'id="{identity}" name="{escape(name)}" data-kind="{kind}"'
    if isinstance(header := about.get("x-mcp-header"), str):
        known += f' data-header="{escape(header)}"'
    need = " required" if needed and kind != "boolean" else ""
    hint = escape(str(about.get("description") or ""))
    hinted = f' aria-describedby="{identity}-hint"' if hint else ""
    default = about.get("default")
    value = "" if default is None else default if isinstance(default, str) else msgspec.json.encode(default).decode()
    match kind:
        case "enum":
            options = "".join(
                f"<option{' selected' if choice == default else ''}>{escape(str(choice))}</option>"
                for choice in about["enum"]
            )
            blank = "" if needed else "<option></option>"
            control = f"<select {known}{need}{hinted}>{blank}{options}</select>"
        case "boolean":
            control = f'<input type="checkbox" {known}{hinted}{" checked" if default is True else ""}>'
        case "integer" | "number":
            step = "1" if kind == "integer" else "any"
            control = (
                f'<input type="number" step="{step}" {known}{need}{hinted}{_bounds(about)} value="{escape(value)}">'
            )
        case "string":
            control = f'<input type="text" {known}{need}{hinted} value="{escape(value)}">'
        case _:
            control = f'<textarea rows="3" spellcheck="false" {known}{need}{hinted}>{escape(value)}</textarea>'
    star = ' <span aria-hidden="true">*</span>' if need else ""
    note = f'<small id="{identity}-hint">{hint}{" (JSON)" if kind == "json" else ""}</small>' if hint else ""
    return f'<div class="field"><label for="{identity}">{escape(name)}{star}</label>{control}{note}</div>'


def _kind(about: Mapping[str, Any]) -> str:
    """Which control fits: a choice, a number, a switch, a line of text, or JSON for all else."""
    choices = about.get("enum")
    if isinstance(choices, list) and all(isinstance(choice, str) for choice in cast("list[object]", choices)):
        return "enum"
    kind = about.get("type")
    return kind if isinstance(kind, str) and kind in ("string", "integer", "number", "boolean") else "json"


def _bounds(about: Mapping[str, Any]) -> str:
    bounds = {"min": about.get("minimum"), "max": about.get("maximum")}
    return "".join(f' {name}="{bound}"' for name, bound in bounds.items() if isinstance(bound, int | float))


def _resolved(about: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A reference into the schema followed once, and the one real choice of an optional value taken."""
    for choices in ("anyOf", "oneOf"):
        real = [choice for choice in about.get(choices, ()) if _object(choice).get("type") != "null"]
        if len(real) == 1:
            about = {**about, **_object(real[0])}
    reference = about.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/$defs/"):
        named = _object(_object(schema.get("$defs")).get(reference.removeprefix("#/$defs/")))
        return {**named, **{key: value for key, value in about.items() if key != "$ref"}}
    return about


def _object(value: object) -> Mapping[str, Any]:
    if isinstance(value, msgspec.Raw):
        value = msgspec.json.decode(value)
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}

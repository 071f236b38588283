"""External servers, shown to a person."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from app.cli._gateway_client import JsonObject

STYLES = {
    "ready": "green",
    "degraded": "yellow",
    "failed": "red",
    "stopping": "dim",
}
_WAITING = "cyan"


def phase(server: JsonObject) -> Text:
    """A dot in the colour of its state, and the state."""
    style = STYLES.get(server["phase"], _WAITING)
    return Text.assemble(("● ", style), (server["phase"], style))


def servers_table(servers: Sequence[JsonObject]) -> Table:
    """One line a server."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("server", "state", "tools", "what", "from", "remark"):
        whole = heading in ("server", "state", "tools")
        justify = "right" if heading == "tools" else "left"
        table.add_column(heading, justify=justify, no_wrap=whole, overflow="fold")
    for server in servers:
        table.add_row(
            Text(server["id"], style="bold"),
            phase(server),
            str(server["tools"]) if server["server"] or server["tools"] else "",
            Text(what(server)),
            "file" if server["source"] == "declared" else Text(server["by"]),
            Text(_remark(server)),
        )
    return table


def server_table(server: JsonObject, health: JsonObject | None) -> Table:
    """Everything of one server."""
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    about = server["server"]
    rows: list[tuple[str, str | Text | None]] = [
        ("server", Text(server["id"], style="bold")),
        ("state", phase(server)),
        ("reason", server["reason"]),
        ("answers", _answers(health)),
        ("what", what(server)),
        ("says it is", f"{about['name']} {about['version']}, MCP {about['revision']}" if about else None),
        ("offers", f"{server['tools']} tools, {server['prompts']} prompts, {server['resources']} resources"),
        ("started by", "the configuration file" if server["source"] == "declared" else server["by"]),
        ("came up in", f"{server['secondsToReady']:.1f} s" if server["secondsToReady"] is not None else None),
        ("restarts", str(server["restarts"]) if server["restarts"] else None),
        ("ends", _in(server["expires"])),
        ("runs on", server["owner"]),
        *(("problem", problem) for problem in server["problems"]),
    ]
    for name, value in rows:
        if value:
            table.add_row(name, value if isinstance(value, Text) else Text(value))
    return table


def what(server: JsonObject) -> str:
    """What runs: the pinned package, or what was asked for."""
    spec: JsonObject = server["spec"]
    named = server["package"] or spec.get("package") or spec.get("image") or spec.get("url") or spec.get("template")
    return str(named or spec.get("type") or server["name"])


def _remark(server: JsonObject) -> str:
    return " · ".join(part for part in (server["reason"], _in(server["expires"]) or "") if part)


def _in(expires: float | None) -> str | None:
    if expires is None:
        return None
    left = max(0, expires - time.time())
    return f"ends in {left / 3600:.0f} h" if left > 5400 else f"ends in {left / 60:.0f} min"


def _answers(health: JsonObject | None) -> str | None:
    if health is None:
        return None
    return f"in {health['seconds'] * 1000:.0f} ms" if health["healthy"] else f"no: {health['reason']}"

"""How results and tools are shown to a person."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from app.client import JsonObject

if TYPE_CHECKING:
    from rich.console import Console


_ASSUMED, _UNSHORTENED = 80, 160


def consoles() -> tuple[Console, Console]:
    """Where answers go, and where everything else goes."""
    from rich.console import Console

    output = Console(highlight=False, soft_wrap=True)
    if not output.is_terminal and output.width == _ASSUMED:
        output.width = _UNSHORTENED  # another program reads it, or a file: nothing is cut for want of columns
    return output, Console(stderr=True, highlight=False, soft_wrap=True)


def program() -> str:
    """How this program was called, so that a command that names it can be pasted as it stands."""
    return sys.argv[0] if sys.argv[0].endswith(f"{os.sep}slipway") else "slipway"


def pretty(value: object) -> str:
    """JSON for a person."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def write(text: str) -> None:
    """To stdout, as it is: other programs read it."""
    sys.stdout.write(text if text.endswith("\n") else text + "\n")
    sys.stdout.flush()


def show_tools(tools: Sequence[JsonObject]) -> None:
    """One line a tool: its name, its arguments (optional ones in brackets) and what it does."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(style="cyan")
    table.add_column(ratio=1)
    for tool in tools:
        description = str(tool.get("description") or tool.get("title") or "").partition("\n")[0]
        table.add_row(Text(str(tool["name"])), Text(signature(tool.get("inputSchema") or {})), Text(description))
    consoles()[0].print(table)


def signature(schema: JsonObject) -> str:
    """A tool's arguments, as `text [count]`."""
    required: list[Any] = schema.get("required") or []
    names: JsonObject = schema.get("properties") or {}
    return " ".join(name if name in required else f"[{name}]" for name in names)


def show_result(result: JsonObject) -> None:
    """Text as it is; structured content as JSON where no text says the same; the rest by what it is."""
    blocks: list[JsonObject] = result.get("content") or []
    for block in blocks:
        match block.get("type"):
            case "text":
                write(_readable(str(block.get("text", ""))))
            case "image" | "audio" as kind:
                write(f"[{kind} {block.get('mimeType', '')}, {len(str(block.get('data', ''))) * 3 // 4} bytes]")
            case "resource_link":
                write(f"[resource {block.get('uri', '')}]")
            case _:
                write(pretty(block))
    if "structuredContent" in result and not any(block.get("type") == "text" for block in blocks):
        write(pretty(result["structuredContent"]))


def _readable(text: str) -> str:
    """A text that is a JSON object or list is indented."""
    if text[:1] not in ("{", "["):
        return text
    try:
        return msgspec.json.format(text, indent=2)
    except msgspec.DecodeError:
        return text

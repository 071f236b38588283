"""Arguments that a tool wants repeated as HTTP headers (since 2026-07-28)."""

from __future__ import annotations

import base64
import re
from typing import Any, cast

from app.client._messages import JsonObject
from app.protocol.headers import InvalidMirror, MirroredParam, mirrored_params

_PLAIN = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")


class Mirror:
    """Knows from the tools that were listed which of their arguments to repeat."""

    def __init__(self) -> None:
        self._rules: dict[str, tuple[MirroredParam, ...]] = {}

    def learn(self, tools: list[JsonObject]) -> list[JsonObject]:
        """Those of the tools that may be used: one whose annotations break the rules may not."""
        usable: list[JsonObject] = []
        for tool in tools:
            try:
                self._rules[str(tool.get("name"))] = mirrored_params(tool.get("inputSchema") or {})
            except InvalidMirror:
                continue
            usable.append(tool)
        return usable

    def headers(self, params: JsonObject) -> dict[str, str]:
        """The headers for a `tools/call`."""
        found: dict[str, str] = {}
        for rule in self._rules.get(str(params.get("name")), ()):
            value: Any = params.get("arguments")
            for step in rule.path:
                value = cast("JsonObject", value).get(step) if isinstance(value, dict) else None
            if isinstance(value, bool):
                found[rule.header.decode()] = "true" if value else "false"
            elif isinstance(value, (str, int, float)):
                found[rule.header.decode()] = header_value(str(value))
        return found


def header_value(text: str) -> str:
    """The text as a header can carry it."""
    if not text or (_PLAIN.fullmatch(text) and not text.startswith("=?base64?")):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="

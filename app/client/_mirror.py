"""Arguments that a tool wants repeated as HTTP headers (since 2026-07-28)."""

from __future__ import annotations

from app.client._messages import JsonObject
from app.protocol.headers import InvalidMirror, MirroredParam, mirrored_params, mirrored_values


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
        rules = self._rules.get(str(params.get("name")), ())
        return {header.decode(): value for header, value in mirrored_values(rules, params.get("arguments"))}

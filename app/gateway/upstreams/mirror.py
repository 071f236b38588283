"""The headers that repeat parts of a request's body, as the era without a handshake wants them over HTTP."""

from __future__ import annotations

import base64
import logging
import re
from functools import lru_cache
from typing import Any, cast

import msgspec
from msgspec import Raw

from app.gateway.upstreams.wire import named_in
from app.protocol.headers import InvalidMirror, MirroredParam, mirrored_params

_log = logging.getLogger("slipway.gateway")
_PLAIN = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_MEMBER = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "task_id",
    "tasks/update": "task_id",
    "tasks/cancel": "task_id",
}


class _Tool(msgspec.Struct):
    name: str = ""
    schema: dict[str, Any] = msgspec.field(name="inputSchema", default_factory=dict[str, Any])


class _Arguments(msgspec.Struct):
    arguments: dict[str, Any] = {}


_decode_tool = msgspec.json.Decoder(_Tool).decode
_decode_arguments = msgspec.json.Decoder(_Arguments).decode


class Mirror:
    """Knows from the tools that were listed which of their arguments to repeat."""

    def __init__(self) -> None:
        self._rules: dict[str, tuple[MirroredParam, ...]] = {}

    def learn(self, tools: list[Raw], label: str) -> list[Raw]:
        """Those of the tools that may be used: one whose annotations break the rules may not."""
        self._rules = {}
        usable: list[Raw] = []
        for tool in tools:
            if b"x-mcp-header" in bytes(tool):
                try:
                    told = _decode_tool(tool)
                    self._rules[told.name] = mirrored_params(told.schema)
                except (InvalidMirror, msgspec.MsgspecError) as problem:
                    _log.warning("server %r: a tool is left out, its x-mcp-header is not allowed: %s", label, problem)
                    continue
            usable.append(tool)
        return usable

    def lines(self, method: str, params: bytes) -> bytes:
        """The header lines of a request."""
        member = _MEMBER.get(method)
        if member is None:
            return _method_line(method)
        name = named_in(params, member)
        lines = _method_line(method) + _name_line(name)
        if self._rules and method == "tools/call":
            rules = self._rules.get(name)
            if rules:
                lines += _argument_lines(rules, params)
        return lines


def _argument_lines(rules: tuple[MirroredParam, ...], params: bytes) -> bytes:
    try:
        arguments = _decode_arguments(params).arguments
    except (msgspec.MsgspecError, RecursionError):
        return b""
    lines = b""
    for rule in rules:
        value: Any = arguments
        for step in rule.path:
            value = cast("dict[str, Any]", value).get(step) if isinstance(value, dict) else None
        if isinstance(value, bool):
            lines += b"%b: %b\r\n" % (rule.header, b"true" if value else b"false")
        elif isinstance(value, str | int | float):
            lines += b"%b: %b\r\n" % (rule.header, header_text(str(value)))
    return lines


@lru_cache(maxsize=256)
def _method_line(method: str) -> bytes:
    return b"mcp-method: %b\r\n" % header_text(method)


@lru_cache(maxsize=4096)
def _name_line(name: str) -> bytes:
    return b"mcp-name: %b\r\n" % header_text(name)


def header_text(text: str) -> bytes:
    """The text as a header can carry it, whatever is in it."""
    if not text or (_PLAIN.fullmatch(text) and not text.startswith("=?base64?")):
        return text.encode()
    return b"=?base64?%b?=" % base64.b64encode(text.encode("utf-8", "surrogatepass"))

"""The headers that repeat parts of a request's body, as the era without a handshake wants them over HTTP."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw

from app.gateway.upstreams.wire import named_in
from app.protocol.headers import NAMED, InvalidMirror, MirroredParam, encode_value, mirrored_params, mirrored_values

_log = logging.getLogger("slipway.gateway")


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
        member = NAMED.get(method)
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
    values = mirrored_values(rules, arguments)
    return b"".join(b"%b: %b\r\n" % (header, value.encode()) for header, value in values)


@lru_cache(maxsize=256)
def _method_line(method: str) -> bytes:
    return b"mcp-method: %b\r\n" % encode_value(method).encode()


@lru_cache(maxsize=4096)
def _name_line(name: str) -> bytes:
    return b"mcp-name: %b\r\n" % encode_value(name).encode()

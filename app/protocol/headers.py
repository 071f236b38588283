"""The headers that mirror a request's body over HTTP since 2026-07-28, and the check that they do."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from msgspec import Raw

from app.protocol.errors import HEADER_MISMATCH, ProtocolError

NAMED = {
    "tools/call": "name",
    "prompts/get": "name",
    "resources/read": "uri",
    "tasks/get": "task_id",
    "tasks/update": "task_id",
    "tasks/cancel": "task_id",
}
"""The methods whose `Mcp-Name` header mirrors a parameter, and which one."""

VERSION, METHOD, NAME = b"mcp-protocol-version", b"mcp-method", b"mcp-name"
PARAM_PREFIX = b"mcp-param-"
_SENTINEL, _SENTINEL_END = "=?base64?", "?="
_PLAIN = re.compile(r"[\t\x20-\x7e]*")
_UNWRAPPED = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_DECIMAL = re.compile(r"-?[0-9]{1,32}(\.[0-9]{1,32})?")
_MIRRORED = ("string", "integer", "boolean")
_decode_arguments = msgspec.json.Decoder(dict[str, Any]).decode


def mismatch(message: str) -> ProtocolError:
    """The error for headers that do not say what the body says."""
    return ProtocolError(HEADER_MISMATCH, f"Header mismatch: {message}")


def check_routing(headers: Mapping[bytes, bytes], version: str, method: str, params: object) -> None:
    """The three standard headers are there and say what the body says; raises `ProtocolError`."""
    get = headers.get
    if get(VERSION) != version.encode():
        _check_version(get(VERSION), version)
    if get(METHOD) != method.encode():
        _check_method(get(METHOD), method)
    member = NAMED.get(method)
    if member is not None:
        name: object = getattr(params, member, None)
        if isinstance(name, str) and (get(NAME) != name.encode() or name.startswith(_SENTINEL)):
            _check_name(get(NAME), member, name)


def _check_version(header: bytes | None, version: str) -> None:
    if header is None:
        raise mismatch("the MCP-Protocol-Version header is missing.")
    if header.strip() != version.encode():
        raise mismatch(f"MCP-Protocol-Version is {_show(header)}, but _meta says '{version[:64]}'.")


def _check_method(header: bytes | None, method: str) -> None:
    if header is None:
        raise mismatch(f"the Mcp-Method header is missing: send 'Mcp-Method: {method[:64]}'.")
    if header.strip() != method.encode():
        raise mismatch(f"Mcp-Method is {_show(header)}, but the body's method is '{method[:64]}'.")


def _check_name(header: bytes | None, member: str, name: str) -> None:
    if header is None:
        raise mismatch(f"the Mcp-Name header is missing: send params.{member} in it.")
    if decode_value(header.strip(), "Mcp-Name") != name:
        raise mismatch(f"Mcp-Name is {_show(header)}, but params.{member} is '{name[:64]}'.")


def decode_value(header: bytes, label: str) -> str:
    """The value that a header carries, taken out of its base64 wrapping if it has one."""
    value = header.decode("latin-1")
    if value.startswith(_SENTINEL) and value.endswith(_SENTINEL_END):
        inner = value[len(_SENTINEL) : -len(_SENTINEL_END)]
        try:
            return base64.b64decode(inner, validate=True).decode()
        except (binascii.Error, ValueError):
            raise mismatch(f"{label} carries base64 that does not decode.") from None
    if not _PLAIN.fullmatch(value):
        raise mismatch(f"{label} has characters that a header must not have: wrap the value in base64.")
    return value


def encode_value(text: str) -> str:
    """The text as a header can carry it, whatever is in it: `decode_value` gives it back."""
    if not text or (_UNWRAPPED.fullmatch(text) and not text.startswith(_SENTINEL)):
        return text
    return f"{_SENTINEL}{base64.b64encode(text.encode('utf-8', 'surrogatepass')).decode()}{_SENTINEL_END}"


@dataclass(frozen=True, slots=True)
class MirroredParam:
    """One tool parameter that a client mirrors into a header."""

    header: bytes
    path: tuple[str, ...]
    kind: str


class InvalidMirror(Exception):
    """An `x-mcp-header` annotation that the specification forbids: clients would drop the tool."""


def mirrored_params(schema: Mapping[str, Any]) -> tuple[MirroredParam, ...]:
    """What a tool's input schema says is mirrored; raises `InvalidMirror`."""
    found: list[MirroredParam] = []
    _collect(schema, (), found)
    names = [param.header for param in found]
    if len(set(names)) != len(names):
        raise InvalidMirror("two parameters are mirrored into the same header")
    if _count(schema) != len(found):
        raise InvalidMirror("x-mcp-header is only allowed on properties reached through 'properties' alone")
    return tuple(found)


def mirrored_values(rules: Sequence[MirroredParam], arguments: object) -> Iterator[tuple[bytes, str]]:
    """The headers that a client sends for these arguments, and their values."""
    for rule in rules:
        value = _value_at(arguments, rule.path)
        if isinstance(value, bool):
            yield rule.header, "true" if value else "false"
        elif isinstance(value, str | int | float):
            yield rule.header, encode_value(str(value))


def check_params(rules: Sequence[MirroredParam], arguments: Raw | None, headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Each mirrored parameter and its header agree: both there and equal, or both absent."""
    sent: dict[bytes, bytes] = {}
    for name, value in headers:
        if name.startswith(PARAM_PREFIX):
            if name in sent:
                raise mismatch(f"{name.decode('latin-1')} is there more than once.")
            sent[name] = value.strip()
    body = _arguments(arguments)
    for rule in rules:
        value = _value_at(body, rule.path)
        header = sent.get(rule.header)
        label, argument = rule.header.decode(), ".".join(rule.path)
        if value is None or not isinstance(value, str | int | float):
            if header is not None:
                raise mismatch(f"{label} is there, but the argument '{argument}' is not.")
        elif header is None:
            raise mismatch(f"{label} is missing, but the argument '{argument}' is there.")
        elif not _agrees(rule.kind, decode_value(header, label), value):
            raise mismatch(f"{label} does not say what the argument '{argument}' says.")


def _arguments(raw: Raw | None) -> dict[str, Any]:
    if raw is None:
        return {}
    try:
        return _decode_arguments(raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {}


def _agrees(kind: str, text: str, value: str | float) -> bool:
    if isinstance(value, bool):
        return text == ("true" if value else "false")
    if kind == "integer" and not isinstance(value, str) and _DECIMAL.fullmatch(text):
        whole, _, fraction = text.partition(".")
        return not fraction.strip("0") and int(whole) == value
    return text == str(value)


def _value_at(node: Any, path: tuple[str, ...]) -> object:
    for step in path:
        if not isinstance(node, dict):
            return None
        node = cast("dict[str, Any]", node).get(step)
    return node


def _collect(schema: Mapping[str, Any], path: tuple[str, ...], found: list[MirroredParam]) -> None:
    properties: object = schema.get("properties")
    if not isinstance(properties, dict):
        return
    for name, below in cast("dict[str, Any]", properties).items():
        if not isinstance(below, dict):
            continue
        inner = cast("dict[str, Any]", below)
        header = inner.get("x-mcp-header")
        if header is not None:
            if not isinstance(header, str) or not _TOKEN.fullmatch(header):
                raise InvalidMirror(f"x-mcp-header {header!r} is not an HTTP token")
            if inner.get("type") not in _MIRRORED:
                raise InvalidMirror(f"the mirrored parameter '{name}' must be one of {', '.join(_MIRRORED)}")
            found.append(MirroredParam(PARAM_PREFIX + header.lower().encode(), (*path, name), inner["type"]))
        _collect(inner, (*path, name), found)


def _count(node: object) -> int:
    if isinstance(node, dict):
        entries = cast("dict[str, object]", node)
        return ("x-mcp-header" in entries) + sum(_count(entry) for entry in entries.values())
    if isinstance(node, list):
        return sum(_count(entry) for entry in cast("list[object]", node))
    return 0


def _show(header: bytes) -> str:
    return repr(header[:64].decode("latin-1"))

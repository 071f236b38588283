"""`key=value` words of a command line, made into the arguments of a tool with the help of its schema."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import msgspec

from app.client import JsonObject


class ArgumentError(ValueError):
    """A word that cannot be an argument; the message says how to write it."""


def parse_arguments(words: Iterable[str], schema: Mapping[str, Any]) -> JsonObject:
    """`key=value` is text unless the schema says otherwise; `key:=value` is JSON, whatever the schema says."""
    arguments: JsonObject = {}
    for word in words:
        name, separator, text = word.partition("=")
        is_json = name.endswith(":")
        name = name.removesuffix(":")
        if not separator or not name:
            raise ArgumentError(f"{word!r} is not an argument: write key=value, or key:=json")
        if name in arguments:
            raise ArgumentError(f"the argument {name!r} is there twice: give it once")
        arguments[name] = _json(name, text) if is_json else _by_schema(name, text, schema)
    return arguments


def _by_schema(name: str, text: str, schema: Mapping[str, Any]) -> object:
    kinds = _kinds(schema.get("properties", {}).get(name, {}), schema)
    if not kinds or "string" in kinds:
        return text
    return _json(name, text)


def _kinds(property_schema: object, schema: Mapping[str, Any], depth: int = 5) -> set[str]:
    """The JSON types that a property may have, as far as its schema says."""
    if not isinstance(property_schema, dict) or depth == 0:
        return set()
    node = cast("JsonObject", property_schema)
    if isinstance(reference := node.get("$ref"), str):
        target: Any = schema
        for step in reference.removeprefix("#/").split("/"):
            target = cast("JsonObject", target).get(step) if isinstance(target, dict) else None
        return _kinds(target, schema, depth - 1)
    kind = node.get("type")
    found = {kind} if isinstance(kind, str) else set(cast("list[str]", kind or []))
    if any(isinstance(value, str) for value in (*node.get("enum", ()), node.get("const"))):
        found.add("string")
    for choices in ("anyOf", "oneOf"):
        for choice in node.get(choices, ()):
            found |= _kinds(choice, schema, depth - 1)
    return found


def _json(name: str, text: str) -> object:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        message = f"{name}={text!r} should be a number, true, false, null, a list or an object: write it as JSON"
        raise ArgumentError(message) from None

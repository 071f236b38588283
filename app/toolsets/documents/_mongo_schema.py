"""Our JSON Schemas in the dialect of MongoDB's validators, so that whoever else writes is held to them as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from app.toolsets.documents._bson import to_bson
from app.toolsets.documents.schemas import Schema

_SAME = frozenset(
    {"title", "description", "enum", "minimum", "maximum", "minLength", "maxLength", "pattern"}
    | {"minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"}
)
_BSON_TYPES = {
    "string": ["string"],
    "number": ["number"],
    "integer": ["int", "long"],
    "boolean": ["bool"],
    "object": ["object"],
    "array": ["array"],
    "null": ["null"],
}


def validator_of(schema: Schema | None) -> dict[str, Any]:
    """The validator of a collection; an empty one lets everything in."""
    if schema is None:
        return {}
    translated = _translated(schema)
    if translated.get("additionalProperties") is False:
        translated["properties"] = {"_id": {}, **translated.get("properties", {})}
    return {"$jsonSchema": translated}


def _translated(schema: Schema | bool) -> dict[str, Any]:
    if isinstance(schema, bool):
        return {} if schema else {"not": {}}
    made: dict[str, Any] = {}
    beside: list[dict[str, Any]] = []
    for keyword, operand in schema.items():
        if keyword in _SAME:
            made[keyword] = to_bson(operand)
        elif keyword in _NESTING:
            made[keyword] = _NESTING[keyword](operand)
        elif keyword in _BESIDE:
            beside.append(_BESIDE[keyword](operand))
        elif keyword == "type":
            names: list[str] = [operand] if isinstance(operand, str) else operand
            kinds = {"bsonType": [kind for name in names for kind in _BSON_TYPES[name]]}
            if "integer" in names and "number" not in names:
                beside.append({"anyOf": [kinds, {"bsonType": ["double"], "multipleOf": 1}]})  # 1.0 is an integer, too
            else:
                made |= kinds
        elif keyword == "required" and operand:  # an empty list is an error there
            made[keyword] = operand
    if beside:
        made["allOf"] = [*made.get("allOf", []), *beside]
    return made


def _each_of(schemas: dict[str, Schema | bool]) -> dict[str, Any]:
    return {name: _translated(inner) for name, inner in schemas.items()}


def _list_of(schemas: list[Schema | bool]) -> list[Any]:
    return [_translated(inner) for inner in schemas]


_NESTING: dict[str, Callable[[Any], Any]] = {
    "properties": _each_of,
    "additionalProperties": lambda inner: inner if isinstance(inner, bool) else _translated(inner),
    "items": _translated,
    "not": _translated,
    "allOf": _list_of,
    "anyOf": _list_of,
    "oneOf": _list_of,
}
_BESIDE: dict[str, Callable[[Any], dict[str, Any]]] = {
    "bsonType": lambda kind: {"bsonType": kind},
    "const": lambda value: {"enum": [to_bson(value)]},
    "exclusiveMinimum": lambda limit: {"minimum": limit, "exclusiveMinimum": True},
    "exclusiveMaximum": lambda limit: {"maximum": limit, "exclusiveMaximum": True},
}

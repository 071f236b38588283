"""JSON Schemas from annotations, and the part of one that a path points at."""

from __future__ import annotations

import re
from typing import Any, cast

import msgspec

Schema = dict[str, Any]

_REF = "#/$defs/"
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")


def schema_of(kind: object) -> Schema:
    """The JSON Schema of a type, self-contained: what it refers to is in its own `$defs`."""
    (root,), components = msgspec.json.schema_components([kind], ref_template=_REF + "{name}")
    definitions = cast("dict[str, Schema]", components)
    name = str(root.get("$ref", "")).removeprefix(_REF)
    if name in definitions and not _refers(list(definitions.values()), name):
        root = definitions.pop(name)
    schema: Schema = {key: value for key, value in root.items() if key != "title"}
    if definitions:
        schema["$defs"] = definitions
    _type_enums(schema)
    return schema


def fragment(schema: Schema, path: str) -> Schema | None:
    """The sub-schema that describes the value at `path` (`$.points[0].x`), or None where it cannot be told."""
    here: Schema | None = schema
    for step in _STEP.finditer(path):
        here = _child(schema, _follow(schema, here), step[1])
        if here is None:
            return None
    return _follow(schema, here)


def steps(path: str) -> list[str | int]:
    """`$.points[0].x` as `["points", 0, "x"]`; stops where the path is not definite."""
    found: list[str | int] = []
    for step in _STEP.finditer(path):
        if step[2] == "...":
            break
        found.append(step[1] if step[1] is not None else int(step[2]))
    return found


def _follow(schema: Schema, here: Schema | None) -> Schema | None:
    while here is not None and "$ref" in here:
        here = schema.get("$defs", {}).get(str(here["$ref"]).removeprefix(_REF))
    return here


def _child(schema: Schema, here: Schema | None, name: str | None) -> Schema | None:
    if here is None:
        return None
    for option in here.get("anyOf", []):
        found = _child(schema, _follow(schema, option), name)
        if found is not None:
            return found
    if name is None:
        items = here.get("items")
        return cast("Schema", items) if isinstance(items, dict) else None
    found = here.get("properties", {}).get(name, here.get("additionalProperties"))
    return cast("Schema", found) if isinstance(found, dict) else None


def _refers(where: object, name: str) -> bool:
    if isinstance(where, dict):
        entries = cast("dict[str, object]", where)
        return entries.get("$ref") == _REF + name or any(_refers(entry, name) for entry in entries.values())
    return isinstance(where, list) and any(_refers(entry, name) for entry in cast("list[object]", where))


def _type_enums(where: object) -> None:
    """Name the type of an enumeration of strings: some clients' models need it said."""
    if isinstance(where, list):
        for entry in cast("list[object]", where):
            _type_enums(entry)
    if not isinstance(where, dict):
        return
    schema = cast("Schema", where)
    options = schema.get("enum")
    if isinstance(options, list) and all(isinstance(option, str) for option in cast("list[object]", options)):
        schema.setdefault("type", "string")
    for key, entry in schema.items():
        if key not in ("enum", "default", "const", "examples"):
            _type_enums(entry)

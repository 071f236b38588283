"""The keywords of JSON Schema that look at one value only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, cast

from app.toolsets.documents.errors import Refused, shown
from app.toolsets.documents.ordering import equal, key_of
from app.toolsets.documents.patterns import compile_pattern
from app.toolsets.documents.values import ObjectId, array_of, plain

Report = Callable[[str, str], None]
Check = Callable[[Any, str, Report], None]
"""Looks at a value at a path, and reports what is wrong with it."""

_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
    ),
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "null": lambda value: value is None,
}
_BSON_TYPES: dict[str, Callable[[Any], bool]] = {
    "date": lambda value: isinstance(value, datetime),
    "objectId": lambda value: isinstance(value, ObjectId),
}


def inside(path: str, name: str) -> str:
    return f"{path}.{name[:80]}" if path else name[:80]


def _type(operand: Any, where: str) -> Check:
    return _typed(operand, where, _TYPES)


def _bson_type(operand: Any, where: str) -> Check:
    return _typed(operand, where, _BSON_TYPES)


def _typed(operand: Any, where: str, known: Mapping[str, Callable[[Any], bool]]) -> Check:
    names = cast("list[Any]", operand) if isinstance(operand, list) else [operand]
    for name in names:
        if not isinstance(name, str) or name not in known:
            raise Refused(f"{where} is {shown(name)}: send one or several of {', '.join(known)}.")

    def check(value: Any, path: str, report: Report) -> None:
        if not any(known[name](value) for name in names):
            report(path, f"is {shown(plain(value))}: send {' or '.join(names)}")

    return check


def _required(operand: Any, where: str) -> Check:
    names = array_of(operand)
    if names is None or not all(isinstance(name, str) for name in names):
        raise Refused(f"{where} is {shown(operand)}: send an array of names.")

    def check(value: Any, path: str, report: Report) -> None:
        if isinstance(value, dict):
            for name in names:
                if name not in value:
                    report(inside(path, name), "is missing")

    return check


def _enum(operand: Any, where: str) -> Check:
    entries = array_of(operand)
    if not entries:
        raise Refused(f"{where} is {shown(operand)}: send an array of values, one or more.")
    keys = {key_of(entry) for entry in entries}

    def check(value: Any, path: str, report: Report) -> None:
        if key_of(value) not in keys:
            report(path, f"is {shown(plain(value))}: send one of {shown(entries)}")

    return check


def _const(operand: Any, _where: str) -> Check:
    def check(value: Any, path: str, report: Report) -> None:
        if not equal(value, operand):
            report(path, f"is {shown(plain(value))}: send {shown(operand)}")

    return check


def _limit(holds: Callable[[Any, Any], bool], words: str) -> Callable[[Any, str], Check]:
    def make(operand: Any, where: str) -> Check:
        if not _TYPES["number"](operand):
            raise Refused(f"{where} is {shown(operand)}: send a number.")

        def check(value: Any, path: str, report: Report) -> None:
            if _TYPES["number"](value) and not holds(value, operand):
                report(path, f"is {shown(value)}: send a number {words} {shown(operand)}")

        return check

    return make


def _count(kind: type | tuple[type, ...], holds: Callable[[int, int], bool], words: str) -> Callable[[Any, str], Check]:
    def make(operand: Any, where: str) -> Check:
        if not isinstance(operand, int) or isinstance(operand, bool) or operand < 0:
            raise Refused(f"{where} is {shown(operand)}: send an integer, 0 or more.")

        def check(value: Any, path: str, report: Report) -> None:
            if isinstance(value, kind) and not holds(len(value), operand):
                report(path, f"has {len(value)} {words.format(operand)}")

        return check

    return make


def _pattern(operand: Any, where: str) -> Check:
    if not isinstance(operand, str):
        raise Refused(f"{where} is {shown(operand)}: send a pattern as text.")
    found = compile_pattern(operand, "", where)

    def check(value: Any, path: str, report: Report) -> None:
        if isinstance(value, str) and not found(value):
            report(path, f"is {shown(value)}, which does not match {shown(operand)}")

    return check


def _unique(operand: Any, where: str) -> Check:
    if not isinstance(operand, bool):
        raise Refused(f"{where} is {shown(operand)}: send true or false.")

    def check(value: Any, path: str, report: Report) -> None:
        if operand and isinstance(value, list):
            entries = cast("list[Any]", value)
            if len({key_of(entry) for entry in entries}) < len(entries):
                report(path, "has equal elements: send each once")

    return check


KEYWORDS: dict[str, Callable[[Any, str], Check]] = {
    "type": _type,
    "bsonType": _bson_type,
    "required": _required,
    "enum": _enum,
    "const": _const,
    "minimum": _limit(lambda value, limit: value >= limit, "of at least"),
    "maximum": _limit(lambda value, limit: value <= limit, "of at most"),
    "exclusiveMinimum": _limit(lambda value, limit: value > limit, "above"),
    "exclusiveMaximum": _limit(lambda value, limit: value < limit, "below"),
    "minLength": _count(str, lambda length, limit: length >= limit, "characters: send {} or more"),
    "maxLength": _count(str, lambda length, limit: length <= limit, "characters: send {} or fewer"),
    "pattern": _pattern,
    "minItems": _count(list, lambda length, limit: length >= limit, "elements: send {} or more"),
    "maxItems": _count(list, lambda length, limit: length <= limit, "elements: send {} or fewer"),
    "uniqueItems": _unique,
    "minProperties": _count(dict, lambda length, limit: length >= limit, "fields: send {} or more"),
    "maxProperties": _count(dict, lambda length, limit: length <= limit, "fields: send {} or fewer"),
}

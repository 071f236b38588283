"""JSON Schemas of collections and of stored tools: the part of the language that both stores can hold documents to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from app.toolsets.documents._schema_keywords import KEYWORDS, Check, Report, inside
from app.toolsets.documents.errors import Refused, shown
from app.toolsets.documents.values import Document, array_of, plain

MOST_SCHEMAS = 500
MOST_FAULTS = 5

Schema = dict[str, Any]
_ANNOTATIONS = ("title", "description", "default", "examples", "format", "$schema")
_TOGETHER = ("properties", "additionalProperties")


class CompiledSchema:
    """A schema that was checked; `faults` is what it finds wrong with a value."""

    def __init__(self, schema: object, where: str = "schema") -> None:
        """Raises `Refused` for a schema that uses what cannot be checked."""
        self._schemas = 0
        self._nesting: dict[str, Callable[[Any, str], Check]] = {
            "items": self._items,
            "not": self._not,
            **{keyword: self._combined(keyword) for keyword in ("allOf", "anyOf", "oneOf")},
        }
        self._check = self._compile(schema, where)
        self.schema = cast("Schema", schema)

    def faults(self, value: Any, at: str = "") -> list[str]:
        """What is wrong, the first few of it; nothing where the value fits."""
        found: list[str] = []

        def report(path: str, fault: str) -> None:
            if len(found) < MOST_FAULTS:
                found.append(f"{path or 'the document'} {fault}")

        self._check(value, at, report)
        return found

    def check_document(self, document: Document, where: str) -> None:
        """Raise `Refused` for a document that does not fit; its `_id` is nobody's business but the store's."""
        known = cast("dict[str, Any]", self.schema.get("properties", {}))
        kept = {name: value for name, value in document.items() if name != "_id" or "_id" in known}
        faults = self.faults(kept)
        if faults:
            raise Refused(f"{where} does not fit the schema of the collection: {'; '.join(faults)}.")

    def _compile(self, schema: object, where: str) -> Check:
        self._schemas += 1
        if self._schemas > MOST_SCHEMAS:
            raise Refused(f"{where}: the schema has more than {MOST_SCHEMAS} parts: send a smaller one.")
        if isinstance(schema, bool):
            return _anything if schema else _nothing
        members = _object(schema, where)
        checks: list[Check] = []
        for keyword, operand in members.items():
            at = f"{where}.{keyword[:80]}"
            if keyword in KEYWORDS:
                checks.append(KEYWORDS[keyword](operand, at))
            elif keyword in self._nesting:
                checks.append(self._nesting[keyword](operand, at))
            elif keyword not in (*_ANNOTATIONS, *_TOGETHER):
                known = ", ".join((*_TOGETHER, *self._nesting, *KEYWORDS))
                raise Refused(f"{where} has '{keyword[:80]}', which is not checked here. Use {known}.")
        if "properties" in members or "additionalProperties" in members:
            checks.append(self._properties(members, where))
        return _all_of(checks)

    def _properties(self, members: Schema, where: str) -> Check:
        listed = _object(members.get("properties", {}), f"{where}.properties")
        known = {name: self._compile(inner, f"{where}.properties.{name[:80]}") for name, inner in listed.items()}
        others = self._compile(members.get("additionalProperties", True), f"{where}.additionalProperties")
        closed = members.get("additionalProperties") is False

        def check(value: Any, path: str, report: Report) -> None:
            if not isinstance(value, dict):
                return
            for name, entry in cast("Document", value).items():
                inner = inside(path, name)
                if name in known:
                    known[name](entry, inner, report)
                elif closed:
                    report(inner, f"is not one of the fields {', '.join(known) or '(none)'}")
                else:
                    others(entry, inner, report)

        return check

    def _items(self, operand: Any, where: str) -> Check:
        inner = self._compile(operand, where)

        def check(value: Any, path: str, report: Report) -> None:
            if isinstance(value, list):
                for index, entry in enumerate(cast("list[Any]", value)):
                    inner(entry, f"{path}[{index}]", report)

        return check

    def _not(self, operand: Any, where: str) -> Check:
        inner = self._compile(operand, where)

        def check(value: Any, path: str, report: Report) -> None:
            if _fits(inner, value):
                report(path, f"is {shown(plain(value))}, which fits a schema that it must not fit")

        return check

    def _combined(self, keyword: str) -> Callable[[Any, str], Check]:
        def make(operand: Any, where: str) -> Check:
            entries = array_of(operand)
            if not entries:
                raise Refused(f"{where} is {shown(operand)}: send an array of schemas, one or more.")
            inner = [self._compile(entry, f"{where}[{index}]") for index, entry in enumerate(entries)]
            if keyword == "allOf":
                return _all_of(inner)

            def check(value: Any, path: str, report: Report) -> None:
                fitting = sum(_fits(one, value) for one in inner)
                if fitting == 0:
                    report(path, f"is {shown(plain(value))}, which fits none of {keyword}")
                elif fitting > 1 and keyword == "oneOf":
                    report(path, f"is {shown(plain(value))}, which fits {fitting} of oneOf instead of one")

            return check

        return make


def arguments_schema(schema: object, where: str) -> CompiledSchema:
    """A schema for the arguments of a tool: an object whose properties are all known."""
    members = _object(schema, where)
    if members.get("type") != "object":
        raise Refused(f'{where}.type is {shown(members.get("type"))}: send "object".')
    return CompiledSchema({**members, "additionalProperties": False}, where)


def _anything(_value: Any, _path: str, _report: Report) -> None:
    return


def _nothing(value: Any, path: str, report: Report) -> None:
    report(path, f"is {shown(plain(value))}, and nothing is allowed there")


def _all_of(checks: list[Check]) -> Check:
    def check(value: Any, path: str, report: Report) -> None:
        for each in checks:
            each(value, path, report)

    return check


def _fits(check: Check, value: Any) -> bool:
    faults: list[str] = []
    check(value, "", lambda _path, fault: faults.append(fault))
    return not faults


def _object(value: object, where: str) -> Schema:
    if isinstance(value, dict):
        return cast("Schema", value)
    raise Refused(f"{where} is {shown(plain(value))}: send an object.")

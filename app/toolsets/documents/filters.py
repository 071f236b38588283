"""Filters: the operators that are allowed, checked and compiled once, for every store."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, cast

from app.toolsets.documents import paths
from app.toolsets.documents.errors import Refused, shown
from app.toolsets.documents.ordering import MISSING, NULL, key_of, rank
from app.toolsets.documents.patterns import compile_pattern
from app.toolsets.documents.refusals import not_allowed
from app.toolsets.documents.values import Document, ObjectId, check_document, plain

Matches = Callable[[Document], bool]
Test = Callable[[Any], bool]
"""Says it of one value, or of an array as a whole; `_Field` asks for each of its elements too."""

MOST_CONDITIONS = 500
MOST_LISTED = 10_000

TYPES: dict[str, Test] = {
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "double": lambda value: isinstance(value, float),
    "bool": lambda value: isinstance(value, bool),
    "date": lambda value: isinstance(value, datetime),
    "objectId": lambda value: isinstance(value, ObjectId),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "null": lambda value: value is None,
}


def compile_filter(wanted: Document, where: str = "filter") -> Matches:
    """A function that says whether a document matches. Raises `Refused` for what is not allowed."""
    return _Compiler().compile(wanted, where)


def equalities(wanted: Document) -> Document:
    """The fields that a filter fixes, with their values: what a document made by an upsert begins with."""
    found: Document = {}
    for name, condition in wanted.items():
        if name == "$and":
            for part in condition:
                found |= equalities(part)
        elif not name.startswith("$"):
            if not _has_operators(condition):
                found[name] = condition
            elif "$eq" in condition:
                found[name] = condition["$eq"]
    return found


class _Compiler:
    """One filter; counts its conditions."""

    def __init__(self) -> None:
        self._conditions = 0
        self._operators: dict[str, Callable[[Any, str], Test]] = {
            "$eq": self._equal,
            "$gt": lambda operand, where: self._compared(operand, where, lambda one, other: one > other),
            "$gte": lambda operand, where: self._compared(operand, where, lambda one, other: one >= other),
            "$lt": lambda operand, where: self._compared(operand, where, lambda one, other: one < other),
            "$lte": lambda operand, where: self._compared(operand, where, lambda one, other: one <= other),
            "$in": self._in,
            "$type": self._type,
            "$mod": self._modulo,
        }
        self._whole = {"$size": self._size, "$elemMatch": self._element}
        self._others = ("$all", "$ne", "$nin", "$not", "$exists", "$regex", "$options")
        self._logical = ("$and", "$or", "$nor")

    def compile(self, wanted: object, where: str) -> Matches:
        tests: list[Matches] = []
        for name, condition in _object(wanted, where).items():
            self._count(where)
            if name in self._logical:
                tests.append(self._combined(name, condition, f"{where}.{name}"))
            elif name.startswith("$"):
                raise not_allowed(name, "operator at the top of a filter", where, self._logical)
            else:
                tests.append(self._field(name, condition, f"{where}.{name[:80]}"))
        return _every(tests)

    def _combined(self, name: str, condition: object, where: str) -> Matches:
        parts = [self.compile(part, f"{where}[{index}]") for index, part in enumerate(_filled(condition, where))]
        if name == "$and":
            return _every(parts)
        if name == "$or":
            return lambda document: any(part(document) for part in parts)
        return lambda document: not any(part(document) for part in parts)

    def _field(self, name: str, condition: object, where: str) -> Matches:
        path = paths.parse(name, where)
        return _every([_at(path, holds) for holds in self._conditions_of(condition, where)])

    def _conditions_of(self, condition: object, where: str) -> list[Callable[[list[Any]], bool]]:
        """What has to hold of the values found at a path."""
        if not _has_operators(condition):
            return [_any(self._equal(condition, where))]
        members = cast("dict[str, Any]", condition)
        found = [self._condition(name, operand, f"{where}.{name[:80]}", members) for name, operand in members.items()]
        return [holds for holds in found if holds is not None]

    def _condition(
        self, name: str, operand: Any, where: str, beside: dict[str, Any]
    ) -> Callable[[list[Any]], bool] | None:
        self._count(where)
        match name:
            case "$options" if "$regex" in beside:
                return None
            case "$regex":
                return _any(self._pattern(operand, beside.get("$options", ""), where))
            case "$ne":
                return _not(_any(self._equal(operand, where)))
            case "$nin":
                return _not(_any(self._in(operand, where)))
            case "$not":
                return self._negated(operand, where)
            case "$exists":
                return self._exists(operand, where)
            case "$all":
                return self._all(operand, where)
            case _ if name in self._operators:
                return _any(self._operators[name](operand, where))
            case _ if name in self._whole:
                return _each_whole(self._whole[name](operand, where))
            case _:
                known = (*self._operators, *self._whole, *self._others)
                raise not_allowed(name, "operator", where.rpartition(".")[0], known)

    def _equal(self, operand: Any, where: str) -> Test:
        _check_value(operand, where)
        if operand is None:
            return lambda value: value is None or value is MISSING
        wanted = key_of(operand)
        return lambda value: value is not MISSING and key_of(value) == wanted

    def _compared(self, operand: Any, where: str, holds: Callable[[Any, Any], bool]) -> Test:
        _check_value(operand, where)
        place, wanted = rank(operand), key_of(operand)
        if place == NULL:
            inclusive = holds(wanted, wanted)
            return lambda value: inclusive and (value is None or value is MISSING)
        return lambda value: value is not MISSING and rank(value) == place and holds(key_of(value), wanted)

    def _in(self, operand: object, where: str) -> Test:
        entries = _list(operand, where)
        if len(entries) > MOST_LISTED:
            raise Refused(f"{where} has {len(entries)} values: send {MOST_LISTED} at most.")
        for entry in entries:
            _check_value(entry, where)
        keys = {key_of(entry) for entry in entries}
        null = (NULL,) in keys
        return lambda value: null if value is MISSING else key_of(value) in keys

    def _type(self, operand: object, where: str) -> Test:
        names = cast("list[object]", operand) if isinstance(operand, list) else [operand]
        for name in names:
            if not isinstance(name, str) or name not in TYPES:
                raise Refused(f"{where} is {shown(plain(name))}: send one or several of {', '.join(TYPES)}.")
        tests = [TYPES[str(name)] for name in names]
        return lambda value: any(test(value) for test in tests)

    def _pattern(self, operand: object, options: object, where: str) -> Test:
        if not isinstance(operand, str) or not isinstance(options, str):
            raise Refused(f"{where} is {shown(plain(operand))}: send the pattern, and its $options, as text.")
        found = compile_pattern(operand, options, where)
        return lambda value: isinstance(value, str) and found(value)

    def _modulo(self, operand: object, where: str) -> Test:
        entries = _list(operand, where)
        if len(entries) != 2 or not all(type(entry) is int for entry in entries) or entries[0] == 0:
            raise Refused(f"{where} is {shown(plain(operand))}: send [divisor, remainder] as integers, no divisor 0.")
        divisor, remainder = cast("list[int]", entries)
        return lambda value: TYPES["number"](value) and _remainder(value, divisor) == remainder

    def _all(self, operand: object, where: str) -> Callable[[list[Any]], bool]:
        wanted = [_any(self._equal(entry, where)) for entry in _list(operand, where)]
        return lambda values: bool(wanted) and all(holds(values) for holds in wanted)

    def _size(self, operand: object, where: str) -> Test:
        if not isinstance(operand, int) or isinstance(operand, bool) or operand < 0:
            raise Refused(f"{where} is {shown(plain(operand))}: send the number of elements, 0 or more.")
        return lambda value: isinstance(value, list) and len(cast("list[Any]", value)) == operand

    def _element(self, operand: object, where: str) -> Test:
        condition = _object(operand, where)
        if condition and _has_operators(condition) and not any(name in self._logical for name in condition):
            tests = self._conditions_of(condition, where)
            return lambda value: (
                isinstance(value, list)
                and any(all(holds([entry]) for holds in tests) for entry in cast("list[Any]", value))
            )
        matches = self.compile(condition, where)
        return lambda value: (
            isinstance(value, list)
            and any(isinstance(entry, dict) and matches(cast("Document", entry)) for entry in cast("list[Any]", value))
        )

    def _negated(self, operand: object, where: str) -> Callable[[list[Any]], bool]:
        if not _has_operators(operand) or not operand:
            raise Refused(f'{where} is {shown(plain(operand))}: send operators, as in {{"$not": {{"$gt": 5}}}}.')
        conditions = self._conditions_of(operand, where)
        return lambda values: not all(holds(values) for holds in conditions)

    def _exists(self, operand: object, where: str) -> Callable[[list[Any]], bool]:
        if not isinstance(operand, bool):
            raise Refused(f"{where} is {shown(plain(operand))}: send true or false.")
        return lambda values: any(value is not MISSING for value in values) is operand

    def _count(self, where: str) -> None:
        self._conditions += 1
        if self._conditions > MOST_CONDITIONS:
            raise Refused(f"{where}: the filter has more than {MOST_CONDITIONS} conditions: send fewer, or use $in.")


def _at(path: paths.Path, holds: Callable[[list[Any]], bool]) -> Matches:
    return lambda document: holds(list(paths.reach(document, path)))


def _any(test: Test) -> Callable[[list[Any]], bool]:
    """Of a value or, where it is an array, of one of its elements."""

    def holds(values: Iterable[Any]) -> bool:
        for value in values:
            if test(value) or (isinstance(value, list) and any(test(entry) for entry in cast("list[Any]", value))):
                return True
        return False

    return holds


def _each_whole(test: Test) -> Callable[[list[Any]], bool]:
    return lambda values: any(test(value) for value in values)


def _not(holds: Callable[[list[Any]], bool]) -> Callable[[list[Any]], bool]:
    return lambda values: not holds(values)


def _every(tests: list[Matches]) -> Matches:
    if len(tests) == 1:
        return tests[0]
    return lambda document: all(test(document) for test in tests)


def _has_operators(condition: object) -> bool:
    return isinstance(condition, dict) and any(name.startswith("$") for name in cast("dict[str, Any]", condition))


def _check_value(value: Any, where: str) -> None:
    if isinstance(value, dict):
        check_document(cast("Document", value), where)
    elif isinstance(value, list):
        for entry in cast("list[Any]", value):
            _check_value(entry, where)


def _remainder(value: float, divisor: int) -> int | None:
    """As C has it: of the number without its fraction, with the sign of the number."""
    if isinstance(value, float) and not -(2.0**63) <= value < 2.0**63:
        return None
    whole = int(value)
    left = abs(whole) % abs(divisor)
    return -left if whole < 0 else left


def _object(value: object, where: str) -> Document:
    if isinstance(value, dict):
        return cast("Document", value)
    raise Refused(f"{where} is {shown(plain(value))}: send an object.")


def _list(value: object, where: str) -> list[Any]:
    if isinstance(value, list):
        return cast("list[Any]", value)
    raise Refused(f"{where} is {shown(plain(value))}: send an array.")


def _filled(value: object, where: str) -> list[Any]:
    if entries := _list(value, where):
        return entries
    raise Refused(f"{where} is empty: send one condition or more.")

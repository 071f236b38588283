"""Expressions of aggregations: `"$field"`, values, and a short list of operators."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, cast

from app.toolsets.documents import paths
from app.toolsets.documents.errors import Refused, shown
from app.toolsets.documents.ordering import MISSING, key_of
from app.toolsets.documents.refusals import not_allowed
from app.toolsets.documents.values import LEAST_INTEGER, MOST_INTEGER, Document, check_document, plain

Expression = Callable[[Document], Any]
"""The value for a document, or `MISSING`."""


def compile_expression(expression: Any, where: str) -> Expression:
    """A function that gives the expression's value. Raises `Refused` for what is not allowed."""
    if isinstance(expression, str) and expression.startswith("$"):
        return _field(expression, where)
    if isinstance(expression, list):
        entries = cast("list[Any]", expression)
        parts = [compile_expression(entry, f"{where}[{index}]") for index, entry in enumerate(entries)]
        return lambda document: [null_for_missing(part(document)) for part in parts]
    if not isinstance(expression, dict):
        return lambda _: expression
    members = cast("Document", expression)
    if not any(name.startswith("$") for name in members):
        return _object(members, where)
    if len(members) > 1:
        raise Refused(f"{where} has {', '.join(members)[:80]}: send one operator.")
    ((name, operand),) = members.items()
    return _operator(name, operand, f"{where}.{name[:80]}")


def null_for_missing(value: Any) -> Any:
    """The value, or null where there is none."""
    return None if value is MISSING else value


def numbers_of(values: Iterable[Any]) -> list[int | float]:
    """The numbers among the values; anything else is passed over."""
    return [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]


def in_range(value: int | float) -> int | float:
    """A number that a document can hold: what needs more than 64 bits becomes a double."""
    return value if isinstance(value, float) or LEAST_INTEGER <= value <= MOST_INTEGER else float(value)


def average(numbers: list[int | float]) -> float | None:
    """None of none."""
    return sum(numbers) / len(numbers) if numbers else None


def extreme(values: Iterable[Any], *, largest: bool) -> Any:
    """The least or the largest, by the order of all values; missing and null do not count."""
    known = [value for value in values if value is not MISSING and value is not None]
    if not known:
        return None
    return max(known, key=key_of) if largest else min(known, key=key_of)


def _field(expression: str, where: str) -> Expression:
    if expression.startswith("$$"):
        raise Refused(f'{where} is {shown(expression)}: variables are not allowed; name a field, as in "$name".')
    path = paths.parse(expression[1:], where)
    return lambda document: paths.read(document, path)


def _object(members: Document, where: str) -> Expression:
    check_document(dict.fromkeys(members), where)
    parts = {name: compile_expression(value, f"{where}.{name[:80]}") for name, value in members.items()}

    def value(document: Document) -> Any:
        made = {name: part(document) for name, part in parts.items()}
        return {name: entry for name, entry in made.items() if entry is not MISSING}

    return value


def _operator(name: str, operand: Any, where: str) -> Expression:
    if name == "$literal":
        return lambda _: operand
    if name == "$cond":
        return _condition(operand, where)
    entries = _listed(operand)
    if name in _OF_ONE:
        if len(entries) != 1:
            raise Refused(f"{where} has {len(entries)} arguments: send one.")
        part, apply = compile_expression(entries[0], where), _OF_ONE[name]
        return lambda document: apply(part(document), where)
    if name in _OF_SEVERAL:
        least, most, combine = _OF_SEVERAL[name]
        if not least <= len(entries) <= most:
            many = str(least) if least == most else f"{least} or more"
            raise Refused(f"{where} has {len(entries)} arguments: send an array of {many}.")
        parts = [compile_expression(entry, f"{where}[{index}]") for index, entry in enumerate(entries)]
        if len(parts) == 1 and not isinstance(operand, list):
            # One argument that is an array stands for its elements.
            return lambda document: combine(_listed(parts[0](document)), where)
        return lambda document: combine([part(document) for part in parts], where)
    raise not_allowed(name, "operator of an expression", where.rpartition(".")[0], OPERATORS)


def _condition(operand: Any, where: str) -> Expression:
    if isinstance(operand, dict) and set(cast("Document", operand)) == {"if", "then", "else"}:
        members = cast("Document", operand)
        entries: list[Any] = [members["if"], members["then"], members["else"]]
    else:
        entries = _listed(cast("object", operand))
    if len(entries) != 3:
        raise Refused(f"{where} is {shown(plain(operand))}: send [if, then, else].")
    test, then, other = (compile_expression(entry, f"{where}[{index}]") for index, entry in enumerate(entries))
    return lambda document: then(document) if _holds(test(document)) else other(document)


def _holds(value: Any) -> bool:
    """False, 0, null and missing do not."""
    if isinstance(value, int | float):
        return value != 0
    return value is not MISSING and value is not None


def _arithmetic(combine: Callable[[Any, Any], Any]) -> Callable[[list[Any], str], Any]:
    def compute(values: list[Any], where: str) -> Any:
        if any(value is None or value is MISSING for value in values):
            return None
        if len(numbers_of(values)) != len(values):
            raise Refused(f"{where} got {shown(plain(values))}: only numbers can be reckoned with.")
        found = values[0]
        for value in values[1:]:
            found = combine(found, value)
        return in_range(found)

    return compute


def _divide(values: list[Any], where: str) -> Any:
    if numbers_of(values[1:]) and values[1] == 0:
        raise Refused(f"{where} divides by 0: leave such documents out with $match.")
    return _arithmetic(lambda one, other: one / other)(values, where)


def _concatenated(values: list[Any], where: str) -> Any:
    if any(value is None or value is MISSING for value in values):
        return None
    if not all(isinstance(value, str) for value in values):
        raise Refused(f"{where} got {shown(plain(values))}: only text can be joined.")
    return "".join(values)


def _compared(holds: Callable[[Any, Any], bool]) -> Callable[[list[Any], str], bool]:
    def compare(values: list[Any], _where: str) -> bool:
        # Missing comes before null, which comes before everything else.
        one, other = ((0,) if value is MISSING else key_of(value) for value in values)
        return holds(one, other)

    return compare


def _text(value: Any, where: str) -> str:
    if value is None or value is MISSING:
        return ""
    if isinstance(value, str):
        return value
    raise Refused(f"{where} got {shown(plain(value))}: only text has cases.")


def _length(value: Any, where: str) -> int:
    if isinstance(value, list):
        return len(cast("list[Any]", value))
    got = "nothing" if value is MISSING else shown(plain(value))
    raise Refused(f"{where} got {got}: only an array has a size. Leave other documents out with $match.")


def _date_part(part: Callable[[datetime], int]) -> Callable[[Any, str], Any]:
    def read(value: Any, where: str) -> Any:
        if value is None or value is MISSING:
            return None
        if isinstance(value, datetime):
            return part(value)
        raise Refused(f"{where} got {shown(plain(value))}: only a date has it.")

    return read


_OF_ONE: dict[str, Callable[[Any, str], Any]] = {
    "$toLower": lambda value, where: _text(value, where).lower(),
    "$toUpper": lambda value, where: _text(value, where).upper(),
    "$size": _length,
    "$not": lambda value, _: not _holds(value),
    "$year": _date_part(lambda date: date.year),
    "$month": _date_part(lambda date: date.month),
    "$dayOfMonth": _date_part(lambda date: date.day),
}
_MANY = 100
_OF_SEVERAL: dict[str, tuple[int, int, Callable[[list[Any], str], Any]]] = {
    "$add": (1, _MANY, _arithmetic(lambda one, other: one + other)),
    "$subtract": (2, 2, _arithmetic(lambda one, other: one - other)),
    "$multiply": (1, _MANY, _arithmetic(lambda one, other: one * other)),
    "$divide": (2, 2, _divide),
    "$sum": (1, _MANY, lambda values, _: in_range(sum(numbers_of(values)))),
    "$avg": (1, _MANY, lambda values, _: average(numbers_of(values))),
    "$min": (1, _MANY, lambda values, _: extreme(values, largest=False)),
    "$max": (1, _MANY, lambda values, _: extreme(values, largest=True)),
    "$concat": (1, _MANY, _concatenated),
    "$ifNull": (2, 2, lambda values, _: values[1] if values[0] is None or values[0] is MISSING else values[0]),
    "$and": (1, _MANY, lambda values, _: all(_holds(value) for value in values)),
    "$or": (1, _MANY, lambda values, _: any(_holds(value) for value in values)),
    "$eq": (2, 2, _compared(lambda one, other: one == other)),
    "$ne": (2, 2, _compared(lambda one, other: one != other)),
    "$gt": (2, 2, _compared(lambda one, other: one > other)),
    "$gte": (2, 2, _compared(lambda one, other: one >= other)),
    "$lt": (2, 2, _compared(lambda one, other: one < other)),
    "$lte": (2, 2, _compared(lambda one, other: one <= other)),
}
OPERATORS = ("$literal", "$cond", *_OF_ONE, *_OF_SEVERAL)


def _listed(value: object) -> list[Any]:
    """The elements of an array; anything else is its own only element."""
    return cast("list[Any]", value) if isinstance(value, list) else [value]

"""Updates: the operators that are allowed, checked once, and applied to a document where the store does not do it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any, cast

from app.toolsets.documents import paths
from app.toolsets.documents._places import Place, find_place
from app.toolsets.documents.errors import Refused, shown
from app.toolsets.documents.filters import compile_filter
from app.toolsets.documents.ordering import MISSING, equal, key_of
from app.toolsets.documents.refusals import not_allowed
from app.toolsets.documents.values import LEAST_INTEGER, MOST_INTEGER, Document, check_document, plain

Change = Callable[[Document], None]


@dataclass(frozen=True, slots=True)
class Update:
    """An update that was checked."""

    raw: Document
    """As it was sent, for a store that applies it itself."""
    _changes: tuple[Change, ...]
    _on_insert: tuple[Change, ...]

    def apply(self, document: Document, *, inserting: bool = False) -> Document:
        """The document afterwards; the one given stays as it is. Raises `Refused` where an operator does not fit it."""
        after = copy.deepcopy(document)
        for change in (*self._changes, *(self._on_insert if inserting else ())):
            change(after)
        return after


def compile_update(update: Document, where: str = "update") -> Update:
    """Check an update. Raises `Refused` for what is not allowed."""
    if not update or not all(name.startswith("$") for name in update):
        raise Refused(
            f"{where} is {shown(plain(update))}: send operators, as in "
            '{"$set": {"name": "new"}}; to replace a document, delete and insert it.'
        )
    changes: list[Change] = []
    on_insert: list[Change] = []
    touched: list[paths.Path] = []
    for name, fields in update.items():
        make = _OPERATORS.get(name)
        if make is None:
            raise not_allowed(name, "update operator", where, _OPERATORS)
        if not isinstance(fields, dict) or not fields:
            raise Refused(f"{where}.{name} is {shown(plain(fields))}: send an object of fields, one or more.")
        for field, operand in cast("Document", fields).items():
            at = f"{where}.{name}.{field[:80]}"
            path = paths.parse(field, at)
            _check_untouched(path, touched, at)
            if name == "$rename":
                _check_untouched(paths.parse(_text(operand, at), at), touched, at)
            (on_insert if name == "$setOnInsert" else changes).append(make(path, operand, at))
    return Update(update, tuple(changes), tuple(on_insert))


def _check_untouched(path: paths.Path, touched: list[paths.Path], where: str) -> None:
    if path[0] == "_id":
        raise Refused(f"{where}: the _id of a document never changes; insert a new document instead.")
    for other in touched:
        if path[: len(other)] == other or other[: len(path)] == path:
            raise Refused(f"{where} changes the same field as '{'.'.join(other)}': name each field once.")
    touched.append(path)


def _set(path: paths.Path, operand: Any, where: str) -> Change:
    _check(operand, where)
    return lambda document: find_place(document, path, where).put(copy.deepcopy(operand))


def _unset(path: paths.Path, _operand: Any, _where: str) -> Change:
    def change(document: Document) -> None:
        place = find_place(document, path, None)
        if place is not None:
            place.remove()

    return change


def _arithmetic(combine: Callable[[Any, Any], Any], *, missing: Callable[[Any], Any]) -> Callable[..., Change]:
    def make(path: paths.Path, operand: Any, where: str) -> Change:
        amount = _number(operand, where)

        def change(document: Document) -> None:
            place = find_place(document, path, where)
            before = place.value
            after = missing(amount) if before is MISSING else combine(_stored_number(before, where), amount)
            place.put(_in_range(after, where))

        return change

    return make


def _kept(better: Callable[[Any, Any], bool]) -> Callable[..., Change]:
    def make(path: paths.Path, operand: Any, where: str) -> Change:
        _check(operand, where)

        def change(document: Document) -> None:
            place = find_place(document, path, where)
            if place.value is MISSING or better(key_of(operand), key_of(place.value)):
                place.put(copy.deepcopy(operand))

        return change

    return make


def _rename(path: paths.Path, operand: Any, where: str) -> Change:
    target = paths.parse(operand, where)

    def change(document: Document) -> None:
        place = find_place(document, path, None)
        if place is not None and place.value is not MISSING:
            value = place.value
            find_place(document, target, where).put(value)
            place.remove()

    return change


def _push(path: paths.Path, operand: Any, where: str) -> Change:
    entries = _entries(operand, where)

    def change(document: Document) -> None:
        place = find_place(document, path, where)
        place.put([*_array(place, where), *copy.deepcopy(entries)])

    return change


def _add_to_set(path: paths.Path, operand: Any, where: str) -> Change:
    entries = _entries(operand, where)

    def change(document: Document) -> None:
        place = find_place(document, path, where)
        after = list(_array(place, where))
        known = {key_of(entry) for entry in after}
        for entry in entries:
            if key_of(entry) not in known:
                known.add(key_of(entry))
                after.append(copy.deepcopy(entry))
        place.put(after)

    return change


def _pull(path: paths.Path, operand: Any, where: str) -> Change:
    unwanted = _unwanted(operand, where)

    def change(document: Document) -> None:
        place = find_place(document, path, None)
        if place is not None and place.value is not MISSING:
            place.put([entry for entry in _array(place, where) if not unwanted(entry)])

    return change


def _unwanted(operand: Any, where: str) -> Callable[[Any], bool]:
    if not isinstance(operand, dict):
        _check(operand, where)
        return lambda entry: equal(entry, operand)
    condition = cast("Document", operand)
    if any(name.startswith("$") for name in condition):
        matches = compile_filter({"entry": condition}, where)
        return lambda entry: matches({"entry": entry})
    matches = compile_filter(condition, where)
    return lambda entry: isinstance(entry, dict) and matches(cast("Document", entry))


def _pop(path: paths.Path, operand: Any, where: str) -> Change:
    if type(operand) is not int or operand not in (1, -1):
        raise Refused(f"{where} is {shown(plain(operand))}: send 1 for the last element or -1 for the first.")

    def change(document: Document) -> None:
        place = find_place(document, path, None)
        if place is not None and place.value is not MISSING:
            entries = _array(place, where)
            place.put(entries[:-1] if operand == 1 else entries[1:])

    return change


def _current_date(path: paths.Path, operand: Any, where: str) -> Change:
    if operand is not True and operand != {"$type": "date"}:
        raise Refused(f"{where} is {shown(plain(operand))}: send true.")

    def change(document: Document) -> None:
        now = datetime.now(UTC)
        find_place(document, path, where).put(now.replace(microsecond=now.microsecond // 1000 * 1000))

    return change


_OPERATORS: dict[str, Callable[[paths.Path, Any, str], Change]] = {
    "$set": _set,
    "$unset": _unset,
    "$inc": _arithmetic(lambda one, other: one + other, missing=lambda amount: amount),
    "$mul": _arithmetic(lambda one, other: one * other, missing=lambda amount: amount * 0),
    "$min": _kept(lambda one, other: one < other),
    "$max": _kept(lambda one, other: one > other),
    "$rename": _rename,
    "$push": _push,
    "$addToSet": _add_to_set,
    "$pull": _pull,
    "$pop": _pop,
    "$currentDate": _current_date,
    "$setOnInsert": _set,
}


def _entries(operand: Any, where: str) -> list[Any]:
    """What `$push` and `$addToSet` add: the value itself, or each of `$each`."""
    entries: object = [operand]
    if isinstance(operand, dict) and any(name.startswith("$") for name in cast("Document", operand)):
        modifiers = cast("Document", operand)
        for name in modifiers:
            if name != "$each":
                raise not_allowed(name, "modifier", where, ("$each",))
        entries = modifiers["$each"]
    if not isinstance(entries, list):
        raise Refused(f"{where}.$each is {shown(plain(entries))}: send an array.")
    for entry in cast("list[Any]", entries):
        _check(entry, where)
    return cast("list[Any]", entries)


def _array(place: Place, where: str) -> list[Any]:
    value: object = place.value
    if value is MISSING:
        return []
    if not isinstance(value, list):
        raise Refused(f"{where}: the field holds {shown(plain(value))}, which is no array. $set it to one first.")
    return cast("list[Any]", value)


def _check(value: Any, where: str) -> None:
    check_document({"value": value}, where)


def _text(value: object, where: str) -> str:
    if isinstance(value, str):
        return value
    raise Refused(f"{where} is {shown(plain(value))}: send the field's new name as text.")


def _number(value: object, where: str) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise Refused(f"{where} is {shown(plain(value))}: send a number.")


def _stored_number(value: object, where: str) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise Refused(f"{where}: the field holds {shown(plain(value))}, which is no number. $set it to one first.")


def _in_range(value: int | float, where: str) -> int | float:
    if isinstance(value, int) and not LEAST_INTEGER <= value <= MOST_INTEGER:
        raise Refused(f"{where} would make {value}, which needs more than 64 bits: $set another number.")
    if isinstance(value, float) and not isfinite(value):
        raise Refused(f"{where} would make a number that is too large: $set another one.")
    return value

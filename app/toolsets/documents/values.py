"""The values of documents: JSON, and as MongoDB's Extended JSON writes them, dates and object ids."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec

from app.toolsets.documents.errors import Refused, shown

Document = dict[str, Any]

MOST_LEVELS = 50
MOST_ID_CHARACTERS = 1024
LEAST_INTEGER, MOST_INTEGER = -(2**63), 2**63 - 1
_HEX = re.compile(r"[0-9a-fA-F]{24}")
_NESTING = frozenset({dict, list})
_JSON = frozenset({str, int, bool, type(None)})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ObjectId:
    """An id as MongoDB makes them: 24 hexadecimal digits."""

    digits: str


def new_id() -> str:
    """An `_id` for a document that came without: text that sorts by the time it was made."""
    return f"{time.time_ns():016x}{os.urandom(4).hex()}"


def is_object_id(text: str) -> bool:
    """Whether the text could be an `ObjectId`."""
    return _HEX.fullmatch(text) is not None


def typed(value: object, where: str, level: int = 0) -> Any:
    """JSON as the values it stands for: `{"$date": …}` becomes a date, `{"$oid": …}` an object id. Raises `Refused`."""
    if isinstance(value, str) or value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if not LEAST_INTEGER <= value <= MOST_INTEGER:
            raise Refused(f"{where} is {value}: send an integer of at most 64 bits, or a string.")
        return value
    if isinstance(value, float):
        return value
    if level >= MOST_LEVELS:
        raise Refused(f"{where} is nested more than {MOST_LEVELS} levels deep: send it flatter.")
    if isinstance(value, list):
        entries = cast("list[object]", value)
        return [
            entry if _is_plain(entry) else typed(entry, f"{where}[{index}]", level + 1)
            for index, entry in enumerate(entries)
        ]
    members = cast("dict[str, object]", value)
    if len(members) == 1:
        ((key, only),) = members.items()
        if key == "$date":
            return _date(only, where)
        if key == "$oid":
            return _object_id(only, where)
    return {
        key: entry if _is_plain(entry) else typed(entry, f"{where}.{key[:80]}", level + 1)
        for key, entry in members.items()
    }


def plain(value: Any) -> Any:
    """The JSON of a value: what `typed` would turn back."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {key: entry if type(entry) in _JSON else plain(entry) for key, entry in members.items()}
    if isinstance(value, list):
        return [entry if type(entry) in _JSON else plain(entry) for entry in cast("list[Any]", value)]
    if isinstance(value, datetime):
        return {"$date": written(value)}
    if isinstance(value, ObjectId):
        return {"$oid": value.digits}
    if isinstance(value, float) and not math.isfinite(value):
        return {"$numberDouble": "NaN" if math.isnan(value) else f"{'-' if value < 0 else ''}Infinity"}
    return value


def array_of(value: object) -> list[Any] | None:
    """The value, where it is an array."""
    return cast("list[Any]", value) if isinstance(value, list) else None


def encoded(document: Mapping[str, Any]) -> bytes:
    """A document as JSON."""
    return msgspec.json.encode(plain(document))


def decoded(body: bytes) -> Document:
    """The document that `encoded` wrote."""
    document: Document = msgspec.json.decode(body)
    # Walking costs more than decoding, and few documents hold a date.
    return typed(document, "document") if b'{"$' in body else document


def check_document(document: Mapping[str, Any], where: str) -> None:
    """Raise `Refused` for what may not be kept: keys that would be taken for operators or paths."""
    for key, value in document.items():
        _check_key(key, where)
        if type(value) in _NESTING:
            _check_value(value, f"{where}.{key[:80]}")


def check_id(value: object, where: str) -> None:
    """Raise `Refused` for what cannot be an `_id`."""
    if isinstance(value, str) and 1 <= len(value) <= MOST_ID_CHARACTERS and "\0" not in value:
        return
    if isinstance(value, ObjectId) or (isinstance(value, int) and not isinstance(value, bool)):
        return
    raise Refused(
        f"{where} is {shown(plain(value))}: send text of 1 to {MOST_ID_CHARACTERS} characters, an integer, "
        'or {"$oid": "24 hexadecimal digits"}; or leave it out, and one is made.'
    )


def written(moment: datetime) -> str:
    """A date to the millisecond, in UTC."""
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def _is_plain(value: object) -> bool:
    """Whether the value is what it seems: most are, and a path to each of them would cost more than the rest."""
    kind = type(value)
    if kind is int:
        return LEAST_INTEGER <= cast("int", value) <= MOST_INTEGER
    return kind is str or kind is float or kind is bool or value is None


def _check_value(value: object, where: str) -> None:
    if isinstance(value, dict):
        check_document(cast("dict[str, Any]", value), where)
    elif isinstance(value, list):
        for index, entry in enumerate(cast("list[object]", value)):
            if type(entry) in _NESTING:
                _check_value(entry, f"{where}[{index}]")


def _check_key(key: str, where: str) -> None:
    if not key:
        raise Refused(f"{where} has a field without a name: give it one.")
    if key.startswith("$"):
        raise Refused(f"{where} has a field '{key[:80]}': names that begin with $ are operators; use another name.")
    if "." in key or "\0" in key:
        raise Refused(f"{where} has a field {shown(key)}: use a name without dots and NUL, or nest objects.")


def _date(value: object, where: str) -> datetime:
    moment: datetime | None = None
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value)
        elif isinstance(value, int) and not isinstance(value, bool):
            moment = _EPOCH + timedelta(milliseconds=value)
        if moment is not None and moment.tzinfo is not None:
            moment = moment.astimezone(UTC)
            return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    except (ValueError, OverflowError):
        pass
    raise Refused(
        f'{where} is {{"$date": {shown(value)}}}: send ISO 8601 with a time zone, '
        'as in {"$date": "2026-01-31T12:00:00Z"}, or milliseconds since 1970.'
    )


def _object_id(value: object, where: str) -> ObjectId:
    if isinstance(value, str) and is_object_id(value):
        return ObjectId(value.lower())
    raise Refused(f'{where} is {{"$oid": {shown(value)}}}: send 24 hexadecimal digits.')

"""How values compare, as MongoDB compares them: first by type, then by value; 1 equals 1.0, and true is no number."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, cast

from app.toolsets.documents.values import ObjectId

Key = tuple[Any, ...]

NULL, NUMBER, TEXT, OBJECT, ARRAY, ID, BOOL, DATE = 1, 2, 3, 4, 5, 7, 8, 9

MISSING: Any = object()
"""The value of a field that is not there."""


def rank(value: object) -> int:
    """Where values of this type stand among the others."""
    if value is None or value is MISSING:
        return NULL
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int | float):
        return NUMBER
    if isinstance(value, str):
        return TEXT
    if isinstance(value, dict):
        return OBJECT
    if isinstance(value, list):
        return ARRAY
    return ID if isinstance(value, ObjectId) else DATE


def key_of(value: Any) -> Key:
    """A key to sort and to compare by; equal values have equal keys, and it can be hashed."""
    place = rank(value)
    match place:
        case 1:
            return (NULL,)
        case 2:
            return (NUMBER, 0, 0) if math.isnan(value) else (NUMBER, 1, value)
        case 4:
            members = cast("dict[str, Any]", value).items()
            return (OBJECT, *((rank(entry), name, key_of(entry)) for name, entry in members))
        case 5:
            return (ARRAY, *(key_of(entry) for entry in cast("list[Any]", value)))
        case 7:
            return (ID, cast("ObjectId", value).digits)
        case 9:
            return (DATE, cast("datetime", value))
        case _:
            return (place, value)


def equal(one: Any, other: Any) -> bool:
    """Whether two values are the same; the fields of objects count in their order."""
    return key_of(one) == key_of(other)


class Descending:
    """Turns the order of a key around."""

    __slots__ = ("key",)

    def __init__(self, key: Key) -> None:
        self.key = key

    def __lt__(self, other: Descending) -> bool:
        return other.key < self.key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Descending) and other.key == self.key

    __hash__ = None  # type: ignore[assignment]  # only ever sorted by

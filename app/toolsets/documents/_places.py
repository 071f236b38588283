"""Where in a document an update writes: an existing field or element, or one that is made on the way."""

from __future__ import annotations

from typing import Any, cast, overload

from app.toolsets.documents.errors import Refused, shown
from app.toolsets.documents.ordering import MISSING
from app.toolsets.documents.paths import Path, index_of
from app.toolsets.documents.values import Document, plain

_MOST_GAP = 1_000


class Place:
    """A field of an object or an element of an array."""

    __slots__ = ("_holder", "_key", "_where")

    def __init__(self, holder: Document | list[Any], key: str | int, where: str) -> None:
        self._holder: Any = holder
        self._key = key
        self._where = where

    @property
    def value(self) -> Any:
        """What is there now, or `MISSING`."""
        if isinstance(self._key, int):
            entries = cast("list[Any]", self._holder)
            return entries[self._key] if self._key < len(entries) else MISSING
        return cast("Document", self._holder).get(self._key, MISSING)

    def put(self, value: Any) -> None:
        """Write it; an array grows, with nulls in between."""
        if isinstance(self._key, int):
            entries = cast("list[Any]", self._holder)
            if self._key > len(entries) + _MOST_GAP:
                raise Refused(f"{self._where}: the array has {len(entries)} elements: name an index nearer to its end.")
            entries.extend([None] * (self._key + 1 - len(entries)))
        self._holder[self._key] = value

    def remove(self) -> None:
        """Take it out; an element becomes null, so that the others keep their indexes."""
        if isinstance(self._key, int):
            if self.value is not MISSING:
                self._holder[self._key] = None
        else:
            cast("Document", self._holder).pop(self._key, None)


@overload
def find_place(document: Document, path: Path, making: str) -> Place: ...


@overload
def find_place(document: Document, path: Path, making: None) -> Place | None: ...


def find_place(document: Document, path: Path, making: str | None) -> Place | None:
    """The place at the path. `making` names the operator that makes objects on the way; None: a missing one is None."""
    place = _step(document, path[0], path, making)
    for step in path[1:]:
        if place is None:
            return None
        if place.value is MISSING:
            if making is None:
                return None
            place.put({})
        place = _step(place.value, step, path, making)
    return place


def _step(holder: object, step: str, path: Path, making: str | None) -> Place | None:
    if isinstance(holder, dict):
        return Place(cast("Document", holder), step, making or "")
    if isinstance(holder, list):
        index = index_of(step)
        if index is not None:
            return Place(cast("list[Any]", holder), index, making or "")
    if making is None:
        return None
    whole, what = ".".join(path), shown(plain(holder))
    raise Refused(f"{making}: '{step}' of '{whole}' cannot be made, for {what} is no object. Name another field.")

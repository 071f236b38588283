"""Which fields of a document are given back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from app.toolsets.documents import paths
from app.toolsets.documents.errors import Refused, shown
from app.toolsets.documents.values import Document, plain

Projection = Callable[[Document], Document]
_Tree = dict[str, Any]
"""The fields named, each with what is named inside it; an empty one means all of it."""


def compile_projection(projection: Document, where: str = "projection") -> Projection:
    """A function that keeps the fields marked 1, or drops those marked 0. Raises `Refused` for anything else."""
    marks = {field: _mark(value, f"{where}.{field[:80]}") for field, value in projection.items()}
    others = {mark for field, mark in marks.items() if field != "_id"}
    if len(others) > 1:
        raise Refused(f"{where} keeps some fields and drops others: send only 1 or only 0; _id may differ.")
    keeping = others.pop() if others else marks.get("_id", False)
    return keep(marks, where) if keeping else drop(marks, where)


def keep(marks: dict[str, bool], where: str) -> Projection:
    """Keep the fields marked; `_id` comes along unless it is marked otherwise."""
    marks = {"_id": True, **marks}
    tree = field_tree([field for field, mark in marks.items() if mark], where)
    return lambda document: _kept(document, tree)


def drop(marks: dict[str, bool], where: str) -> Projection:
    """Drop the fields marked so."""
    tree = field_tree([field for field, mark in marks.items() if not mark], where)
    return lambda document: _left(document, tree)


def field_tree(fields: Iterable[str], where: str) -> _Tree:
    """The paths as a tree. Raises `Refused` where one is part of another."""
    tree: _Tree = {}
    for field in fields:
        path = paths.parse(field, where)
        branch = tree
        for position, step in enumerate(path):
            last = position == len(path) - 1
            if step in branch and (last or not branch[step]):
                raise Refused(f"{where} names '{field[:80]}' and a part of it or the whole: name one of the two.")
            branch = branch.setdefault(step, {})
    return tree


def _mark(value: object, where: str) -> bool:
    if isinstance(value, bool):
        return value
    if value in (0, 1):
        return bool(value)
    raise Refused(f"{where} is {shown(plain(value))}: send 1 to keep the field or 0 to drop it.")


def _kept(document: Document, tree: _Tree) -> Document:
    found: Document = {}
    for name, value in document.items():
        inside = tree.get(name)
        if inside is None:
            continue
        if not inside:
            found[name] = value
        elif isinstance(value, dict):
            found[name] = _kept(cast("Document", value), inside)
        elif isinstance(value, list):
            found[name] = _each(cast("list[Any]", value), inside)
    return found


def _each(entries: list[Any], tree: _Tree) -> list[Any]:
    """Only objects can hold what is named; an array inside an array is looked into as well."""
    found: list[Any] = []
    for entry in entries:
        if isinstance(entry, dict):
            found.append(_kept(cast("Document", entry), tree))
        elif isinstance(entry, list):
            found.append(_each(cast("list[Any]", entry), tree))
    return found


def _left(value: Any, tree: _Tree) -> Any:
    if isinstance(value, list):
        return [_left(entry, tree) for entry in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    found: Document = {}
    for name, entry in cast("Document", value).items():
        inside = tree.get(name)
        if inside is None:
            found[name] = entry
        elif inside:
            found[name] = _left(entry, inside)
    return found

"""Dotted paths into documents: `address.city`, `lines.0.price`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from app.toolsets.documents.errors import Refused, shown
from app.toolsets.documents.ordering import MISSING

Path = tuple[str, ...]

MOST_STEPS = 20


def parse(path: str, where: str) -> Path:
    """The steps of a path. Raises `Refused` for one with empty steps or `$`."""
    steps = tuple(path.split("."))
    if not all(steps) or len(steps) > MOST_STEPS or "\0" in path:
        raise Refused(f"{where} has the path {shown(path)}: send names joined by dots, {MOST_STEPS} at most.")
    for step in steps:
        if step.startswith("$"):
            raise Refused(f"{where} has the path {shown(path)}: '{step[:40]}' is not allowed; name fields and indexes.")
    return steps


def reach(value: Any, path: Path) -> Iterator[Any]:
    """Every value at the path; an array on the way stands for each object in it. `MISSING` where there is none."""
    if not path:
        yield value
    elif isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        if path[0] in members:
            yield from reach(members[path[0]], path[1:])
        else:
            yield MISSING
    elif isinstance(value, list):
        entries = cast("list[Any]", value)
        index = index_of(path[0])
        if index is not None and index < len(entries):
            yield from reach(entries[index], path[1:])
        for entry in entries:
            if isinstance(entry, dict):
                yield from reach(entry, path)
    else:
        yield MISSING


def index_of(step: str) -> int | None:
    """The place in an array that a step names, if it names one."""
    return int(step) if step.isascii() and step.isdigit() and len(step) <= 9 else None


def read(value: Any, path: Path) -> Any:
    """The value of `$path` in an expression: through arrays of objects it is the array of their values."""
    for position, step in enumerate(path):
        if isinstance(value, dict):
            value = cast("dict[str, Any]", value).get(step, MISSING)
        elif isinstance(value, list):
            found = (read(entry, path[position:]) for entry in cast("list[Any]", value) if isinstance(entry, dict))
            return [entry for entry in found if entry is not MISSING]
        else:
            return MISSING
    return value

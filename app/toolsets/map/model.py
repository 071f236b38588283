"""What a map holds, and how a change of it is told: the same for every store."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Raw

Kind = Literal["view", "marker", "layer"]
Verb = Literal["add", "set", "put", "remove", "clear"]
Values = dict[str, bytes]
"""Properties by name, each as JSON."""

KINDS: tuple[Kind, ...] = ("view", "marker", "layer")
PROPERTIES: dict[Kind, tuple[str, ...]] = {
    "view": ("latitude", "longitude", "zoom"),
    "marker": ("latitude", "longitude", "label", "description", "color"),
    "layer": ("name", "color", "visible", "features", "geojson"),
}
SHAPES = "geojson"
"""The one property that may be large; left out wherever nobody asks for it."""

DEFAULT_SESSION = "default"
SESSION_PATTERN = r"^[A-Za-z0-9._-]{1,128}$"
_SESSION = re.compile(SESSION_PATTERN)
_POSITION = re.compile(r"([0-9a-z]{1,32})\.([0-9]{1,15})")


@dataclass(frozen=True, slots=True, kw_only=True)
class MapLimits:
    """The bounds of what is kept."""

    ttl: float = 86_400.0  # seconds that a map stays after it was last changed or read
    max_maps: int = 10_000
    max_markers: int = 2_000  # a map
    max_layers: int = 100  # a map
    max_layer_bytes: int = 1024 * 1024
    max_bytes: int = 8 * 1024 * 1024  # a map
    max_log: int = 500  # changes that can be resumed from, a map
    max_log_bytes: int = 2 * 1024 * 1024


class Position(NamedTuple):
    """A place in a map's history. Another epoch is another history: the map was made anew."""

    epoch: str
    version: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.version}"

    @classmethod
    def parse(cls, text: str) -> Position | None:
        """The position that `str` wrote, or None for anything else."""
        matched = _POSITION.fullmatch(text)
        return cls(matched[1], int(matched[2])) if matched else None


NOWHERE = Position("0", 0)
"""Where a map is that nobody has touched."""


class Edit(NamedTuple):
    """One change to make: `add` a new entry, `set` some properties of one, `put` both, `remove` it, `clear` kinds."""

    verb: Verb
    kind: Kind | Literal["all"]
    id: str = ""
    """Which entry; empty to have an id made."""
    values: Mapping[str, bytes] = MappingProxyType({})


class Edited(NamedTuple):
    """What an edit led to: the entry's id, and all its properties but its shapes."""

    position: Position
    id: str
    values: Values


class Change(NamedTuple):
    """An edit that was made, as the log keeps it; with it the map had this version."""

    version: int
    edit: Edit


class Changes(NamedTuple):
    """Where a map is now, and what led there; None where the log does not say."""

    position: Position
    made: list[Change] | None


class Entry(NamedTuple):
    """One marker, layer or view; `order` grows with the time at which it was added."""

    order: int
    values: Values


@dataclass(slots=True)
class Snapshot:
    """A whole map at one moment."""

    position: Position = NOWHERE
    entries: dict[Kind, dict[str, Entry]] = field(default_factory=lambda: {kind: {} for kind in KINDS})

    def ordered(self, kind: Kind) -> list[tuple[str, Entry]]:
        """The entries of a kind, the oldest first."""
        return sorted(self.entries[kind].items(), key=lambda entry: entry[1].order)

    def encode(self) -> bytes:
        """As JSON: `version`, `view` or null, `markers` and `layers` by id, each with its `order`."""
        view = self.entries["view"].get("view")
        body: dict[str, Any] = {"version": self.position.version, "view": _raw(view.values) if view else None}
        for kind in ("marker", "layer"):
            body[f"{kind}s"] = {name: _raw(entry.values) | {"order": entry.order} for name, entry in self.ordered(kind)}
        return msgspec.json.encode(body)


class Patch:
    """Several changes as one: for each entry its new properties, or None where it is gone.

    An entry that is added comes with all its properties, so a patch may be applied to what already has part of it.
    """

    __slots__ = ("cleared", "entries", "position")

    def __init__(self, position: Position, made: Iterable[Change] = ()) -> None:
        self.position = position
        self.cleared: set[Kind] = set()
        self.entries: dict[Kind, dict[str, Values | None]] = {kind: {} for kind in KINDS}
        for change in made:
            self._apply(change)

    def merge(self, later: Patch) -> None:
        """Take in what came after."""
        self.position = later.position
        for kind in KINDS:
            if kind in later.cleared:
                self._clear(kind)
            for name, values in later.entries[kind].items():
                self._put(kind, name, values)

    def encode(self) -> bytes:
        """As JSON: `version`, and of `cleared`, `view`, `markers` and `layers` what there is to tell."""
        body: dict[str, Any] = {"version": self.position.version}
        if cleared := [f"{kind}s" for kind in ("marker", "layer") if kind in self.cleared]:
            body["cleared"] = cleared
        if "view" in self.cleared:
            body["view"] = None
        if view := self.entries["view"].get("view"):
            body["view"] = _raw(view)
        for kind in ("marker", "layer"):
            if self.entries[kind]:
                told = self.entries[kind].items()
                body[f"{kind}s"] = {name: None if values is None else _raw(values) for name, values in told}
        return msgspec.json.encode(body)

    def _apply(self, change: Change) -> None:
        verb, kind, name, values = change.edit
        if verb == "clear":
            for cleared in KINDS if kind == "all" else (kind,):
                self._clear(cleared)
        elif kind != "all":
            added = {"order": b"%d" % change.version} if verb == "add" else {}
            self._put(kind, name, None if verb == "remove" else {**values, **added})

    def _clear(self, kind: Kind) -> None:
        self.entries[kind].clear()
        self.cleared.add(kind)

    def _put(self, kind: Kind, name: str, values: Values | None) -> None:
        known = self.entries[kind].get(name)
        self.entries[kind][name] = values if values is None or known is None else known | values


def is_session(name: str) -> bool:
    """Whether a map may have that name."""
    return _SESSION.fullmatch(name) is not None


def encoded(values: Mapping[str, object]) -> Values:
    """Properties as the stores keep them."""
    return {name: msgspec.json.encode(value) for name, value in values.items()}


def _raw(values: Values) -> dict[str, Any]:
    return {name: Raw(value) for name, value in values.items()}

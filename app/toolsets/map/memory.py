"""Maps kept in this process."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.listeners import Listeners
from app.toolsets.map.model import (
    KINDS,
    NOWHERE,
    PROPERTIES,
    SHAPES,
    Change,
    Changes,
    Edit,
    Edited,
    Entry,
    Kind,
    MapLimits,
    Position,
    Snapshot,
    Values,
)
from app.toolsets.map.store import refusal


@dataclass(slots=True)
class _Map:
    until: float
    epoch: str = field(default_factory=lambda: secrets.token_hex(4))
    version: int = 0
    size: int = 0
    entries: dict[Kind, dict[str, Entry]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    ids: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    log: deque[Change] = field(default_factory=deque[Change])
    log_size: int = 0

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.version)


class MemoryMapStore:
    """A `MapStore` without a server; maps end with the process."""

    def __init__(self, limits: MapLimits | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits or MapLimits()
        self._clock = clock
        self._maps: dict[str, _Map] = {}
        self._listeners = Listeners[str | None]()

    async def edit(self, session: str, edit: Edit) -> Edited:
        found = self._find(session) or self._new()
        reason = self._refused(session, found, edit)
        if reason is not None:
            limits = self.limits
            most = limits.max_layers if edit.kind == "layer" else limits.max_markers
            raise refusal(reason, edit, (limits.max_maps, most, limits.max_bytes))
        self._maps[session] = found
        found.version += 1
        edited = _make(found, edit)
        self._keep(found, Change(found.version, edit._replace(id=edited.id)))
        self._listeners.tell(session)
        return edited

    async def read(self, session: str, *, shapes: bool) -> Snapshot:
        found = self._find(session)
        if found is None:
            return Snapshot()
        entries: dict[Kind, dict[str, Entry]] = {kind: dict(known) for kind, known in found.entries.items()}
        if not shapes:
            entries["layer"] = {
                name: Entry(entry.order, _without_shapes(entry.values)) for name, entry in entries["layer"].items()
            }
        return Snapshot(found.position, entries)

    async def changes(self, session: str, after: Position | None) -> Changes:
        found = self._find(session, used=False)
        if found is None:
            return Changes(NOWHERE, [] if after == NOWHERE else None)
        if after is None or after.epoch != found.epoch or after.version > found.version:
            return Changes(found.position, None)
        missed = [change for change in found.log if change.version > after.version]
        return Changes(found.position, missed if len(missed) == found.version - after.version else None)

    def listen(self, heard: Callable[[str | None], None]) -> None:
        self._listeners.add(heard)

    async def start(self) -> None:
        return

    async def ping(self) -> None:
        return

    async def close(self) -> None:
        self._maps.clear()

    def _find(self, session: str, *, used: bool = True) -> _Map | None:
        found = self._maps.get(session)
        if found is None:
            return None
        now = self._clock()
        if found.until <= now:
            del self._maps[session]
            return None
        if used:
            found.until = now + self.limits.ttl
        return found

    def _new(self) -> _Map:
        return _Map(self._clock() + self.limits.ttl)

    def _refused(self, session: str, found: _Map, edit: Edit) -> str | None:
        verb, kind, name, values = edit
        if session not in self._maps and self._is_full():
            return "maps"
        if kind == "all" or verb == "clear":
            return None
        known = found.entries[kind].get(name)
        if verb in ("set", "remove") and known is None:
            return "unknown"
        if verb == "add":
            if known is not None:
                return "taken"
            if len(found.entries[kind]) >= (self.limits.max_layers if kind == "layer" else self.limits.max_markers):
                return "full"
        grown = _size(values) - (_size({key: known.values.get(key, b"") for key in values}) if known else 0)
        return "large" if grown > 0 and found.size + grown > self.limits.max_bytes else None

    def _is_full(self) -> bool:
        if len(self._maps) < self.limits.max_maps:
            return False
        now = self._clock()
        self._maps = {name: kept for name, kept in self._maps.items() if kept.until > now}
        return len(self._maps) >= self.limits.max_maps

    def _keep(self, found: _Map, change: Change) -> None:
        found.log.append(change)
        found.log_size += _size(change.edit.values)
        while len(found.log) > self.limits.max_log or (found.log_size > self.limits.max_log_bytes and found.log):
            found.log_size -= _size(found.log.popleft().edit.values)


def _make(found: _Map, edit: Edit) -> Edited:
    verb, kind, name, values = edit
    if verb == "clear" or kind == "all":
        for cleared in KINDS if kind == "all" else (kind,):
            found.size -= sum(_size(entry.values) for entry in found.entries[cleared].values())
            found.entries[cleared].clear()
        return Edited(found.position, "", {})
    entries = found.entries[kind]
    if verb == "remove":
        gone = entries.pop(name)
        found.size -= _size(gone.values)
        return Edited(found.position, name, _without_shapes(gone.values))
    while not name or (verb == "add" and name in entries):
        found.ids[kind] += 1
        name = f"{kind}-{found.ids[kind]}"
    before = entries.get(name, Entry(found.version, {}))
    after = {key: value for key in PROPERTIES[kind] if (value := values.get(key, before.values.get(key))) is not None}
    entries[name] = Entry(before.order, after)
    found.size += _size(after) - _size(before.values)
    return Edited(found.position, name, _without_shapes(after))


def _without_shapes(values: Mapping[str, bytes]) -> Values:
    return {name: value for name, value in values.items() if name != SHAPES}


def _size(values: Mapping[str, bytes]) -> int:
    return sum(map(len, values.values()))

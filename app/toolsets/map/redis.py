"""Maps kept in Redis: every replica edits and shows the same ones."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, cast

from app.listeners import Listeners
from app.sessions.redis_address import RedisAddress
from app.sessions.redis_client import RedisClient
from app.sessions.redis_link import Link
from app.toolsets.map import redis_scripts as scripts
from app.toolsets.map.model import (
    NOWHERE,
    PROPERTIES,
    Change,
    Changes,
    Edit,
    Edited,
    Entry,
    MapLimits,
    Position,
    Snapshot,
    Values,
)
from app.toolsets.map.store import refusal

_INDEX = "slipway:maps"
_CHANNEL = "slipway:maps:changed"


class RedisMapStore:
    """A `MapStore` in Redis. `url` is as `RedisAddress.parse` reads it."""

    def __init__(self, url: str, limits: MapLimits | None = None, *, timeout: float = 3.0) -> None:
        self.limits = limits or MapLimits()
        # Connections of its own: a large map must not hold up what the sessions need.
        self._client = RedisClient(RedisAddress.parse(url), timeout=timeout)
        self._link = Link(self._client, _CHANNEL, self)
        self._listeners = Listeners[str | None]()
        self._ttl_ms = max(1, int(self.limits.ttl * 1000))

    async def edit(self, session: str, edit: Edit) -> Edited:
        limits = self.limits
        most = limits.max_layers if edit.kind == "layer" else limits.max_markers
        named = [part for name, value in edit.values.items() for part in (name, value)]
        properties = "" if edit.kind == "all" else ",".join(PROPERTIES[edit.kind])
        found: list[Any] = await self._client.run(
            scripts.EDIT,
            (_key(session), _log_key(session), _INDEX),
            session,
            self._ttl_ms,
            limits.max_maps,
            most,
            limits.max_bytes,
            limits.max_log,
            limits.max_log_bytes,
            _CHANNEL,
            secrets.token_hex(4),
            edit.verb,
            edit.kind,
            edit.id,
            properties,
            *named,
        )
        if found[0]:
            raise refusal(found[0].decode(), edit, (limits.max_maps, most, limits.max_bytes))
        position = Position(found[1].decode(), int(found[2]))
        return Edited(position, found[3].decode(), _values(found[4:]))

    async def read(self, session: str, *, shapes: bool) -> Snapshot:
        keys = (_key(session), _log_key(session), _INDEX)
        found: list[bytes] = await self._client.run(scripts.READ, keys, session, self._ttl_ms, "1" if shapes else "0")
        return _snapshot(_values(found))

    async def changes(self, session: str, after: Position | None) -> Changes:
        keys = (_key(session), _log_key(session))
        epoch, version = ("", -1) if after is None else after
        found: list[Any] = await self._client.run(scripts.CHANGES, keys, epoch, version)
        if not found[0]:
            return Changes(NOWHERE, [] if after == NOWHERE else None)
        position = Position(found[0].decode(), int(found[1]))
        return Changes(position, [_change(*entry) for entry in found[3]] if found[2] else None)

    def listen(self, heard: Callable[[str | None], None]) -> None:
        self._listeners.add(heard)

    async def start(self) -> None:
        self._link.start()

    async def ping(self) -> None:
        await self._client.execute("PING")

    async def close(self) -> None:
        await self._link.close()
        await self._client.close()

    def heard(self, data: bytes) -> None:
        """A map was changed, here or on another replica."""
        self._listeners.tell(data.decode())

    def missed(self) -> None:
        """The link was cut: any map may have changed."""
        self._listeners.tell(None)


def _key(session: str) -> str:
    return f"map_state:{session}"


def _log_key(session: str) -> str:
    return f"slipway:map_log:{session}"


def _values(found: list[bytes]) -> Values:
    return {name.decode(): value for name, value in zip(found[::2], found[1::2], strict=True)}


def _change(stream_id: bytes, fields: list[bytes]) -> Change:
    told = _values(fields)
    verb, kind, name = (told.pop(key).decode() for key in ("e", "k", "i"))
    del told["s"]
    return Change(int(stream_id.partition(b"-")[0]), Edit(cast("Any", verb), cast("Any", kind), name, told))


def _snapshot(fields: Values) -> Snapshot:
    if not fields:
        return Snapshot()
    found = Snapshot(Position(fields["epoch"].decode(), int(fields["version"])))
    for name, value in fields.items():
        kind, _, entry = name.partition(":")
        if kind in PROPERTIES and ":" not in entry:
            found.entries[kind][entry] = Entry(int(value), {})
    for name, value in fields.items():
        kind, _, rest = name.partition(":")
        entry, _, key = rest.partition(":")
        if kind in PROPERTIES and key:
            found.entries[kind][entry].values[key] = value
    return found

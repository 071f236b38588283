"""Where maps are kept: memory and Redis pass one contract test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from app.toolsets.map.model import Changes, Edit, Edited, Position, Snapshot


class EditRefused(Exception):
    """An edit that cannot be made; the message says why and what to do."""


class MapStore(Protocol):
    """Every method raises `StoreUnavailable` soon where the store does not answer."""

    async def edit(self, session: str, edit: Edit) -> Edited:
        """Make one change, as a whole or not at all, whoever else edits at the same time. Raises `EditRefused`."""
        ...

    async def read(self, session: str, *, shapes: bool) -> Snapshot:
        """The whole map, its layers' GeoJSON only where `shapes` asks for it. Keeps the map alive."""
        ...

    async def changes(self, session: str, after: Position | None) -> Changes:
        """Where the map is, and what was changed after a position."""
        ...

    def listen(self, heard: Callable[[str | None], None]) -> None:
        """Call `heard` with the name of each map that changes on any replica; with None when any may have changed."""
        ...

    async def start(self) -> None:
        """Begin to hear of other replicas' changes."""
        ...

    async def ping(self) -> None:
        """Return when the store answers."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


def refusal(reason: str, edit: Edit, limits: tuple[int, int, int]) -> EditRefused:
    """The error for a reason that a store found. `limits`: the most maps, entries of the kind, and bytes of a map."""
    maps, entries, size = limits
    match reason:
        case "unknown":
            text = f"There is no {edit.kind} '{edit.id}' on this map. get_state lists the ids that there are."
        case "taken":
            other = (
                f"change it with update_{edit.kind}" if edit.kind == "marker" else f"remove it with remove_{edit.kind}"
            )
            text = f"There is already a {edit.kind} '{edit.id}' on this map: {other}, or leave the id out."
        case "full":
            text = f"This map has {entries} {edit.kind}s, which is the most: remove one, or use another map_session."
        case "large":
            text = f"This map would hold more than {size} bytes: remove layers or markers, or use another map_session."
        case _:
            text = f"The server keeps {maps} maps, which is the most: use a map_session that exists, or try later."
    return EditRefused(text)

"""Whether agents are watched: kopf looks for a kind as its definition changes, perhaps just before it is served."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from app.kubernetes import ApiAway, ApiError, Object
from app.operator.model import API_VERSION, PLURAL

_LOOKS: Final = 3


class Reader(Protocol):
    """What of the API is needed."""

    async def get(self, path: str) -> Object | None: ...


class Blind(Exception):
    """Agents are served, and nobody watches them."""


async def keep_in_sight(api: Reader, *, every: float = 5.0) -> None:
    """Raise Blind once that has been so for a few looks in a row."""
    missed = 0
    while missed < _LOOKS:
        await asyncio.sleep(every)
        missed = missed + 1 if not watches(PLURAL) and await _served(api) else 0
    raise Blind("agents are served but not watched: the work begins anew")


def watches(plural: str = "") -> set[asyncio.Task[object]]:
    """kopf's watches that there are at this moment: all, or those of a kind."""
    begin = f"watcher for {plural}." if plural else "watcher for "
    return {task for task in asyncio.all_tasks() if task.get_name().startswith(begin)}


async def _served(api: Reader) -> bool:
    try:
        found = await api.get(f"/apis/{API_VERSION}")
    except (ApiError, ApiAway):
        return False
    return any(kind["name"] == PLURAL for kind in (found or {}).get("resources", ()))

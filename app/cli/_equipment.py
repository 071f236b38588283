"""What toolsets need of the outside, made from the settings: one function a toolset, called where it is chosen."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from app.asgi import ASGIApp
from app.lifecycle import Check
from app.settings import Settings

Step = Callable[[], Awaitable[None]]


@dataclass(slots=True, kw_only=True)
class Equipment:
    """What all chosen toolsets bring along. An equipping function adds to it what its toolset has."""

    given: list[Any] = field(default_factory=list[Any])
    """For the toolsets: found by type with `ToolsetRegistry.given`."""
    stores: dict[str, str] = field(default_factory=dict[str, str])
    """What is kept where, as in `{"map": "memory"}`."""
    checks: dict[str, Check] = field(default_factory=dict[str, Check])
    """Dependencies that /ready tells of; a check raises while its dependency is away."""
    routes: dict[str, ASGIApp] = field(default_factory=dict[str, ASGIApp])
    """Paths served besides the protocol's."""
    on_start: list[Step] = field(default_factory=list[Step])
    """Run when the event loop runs, before anything is served."""
    before_exit: list[Step] = field(default_factory=list[Step])
    """Run when draining begins: long-lived answers end."""
    on_stop: list[Step] = field(default_factory=list[Step])
    """Run last: connections are closed."""


def equip(settings: Settings) -> Equipment:
    """What the toolsets of the settings need, imported only for those."""
    equipment = Equipment()
    for name in dict.fromkeys(settings.toolsets):
        if name in _EQUIPPERS:
            _EQUIPPERS[name](settings, equipment)
    return equipment


def _documents(settings: Settings, equipment: Equipment) -> None:
    from app.cli._documents import equip_documents

    equip_documents(settings, equipment)


def _map(settings: Settings, equipment: Equipment) -> None:
    from app.cli._map import equip_map

    equip_map(settings, equipment)


def _war(settings: Settings, equipment: Equipment) -> None:
    from app.cli._outbound import equip_war

    equip_war(settings, equipment)


def _search(settings: Settings, equipment: Equipment) -> None:
    from app.cli._outbound import equip_search

    equip_search(settings, equipment)


_EQUIPPERS: dict[str, Callable[[Settings, Equipment], None]] = {
    "documents": _documents,
    "map": _map,
    "search": _search,
    "war": _war,
}

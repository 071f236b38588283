"""The maps of a process, as the wiring hands them to the tools and to the page."""

from __future__ import annotations

from app.toolsets.map.memory import MemoryMapStore
from app.toolsets.map.model import MapLimits
from app.toolsets.map.rooms import Rooms
from app.toolsets.map.store import MapStore


class Maps:
    """A store, its limits, and who watches."""

    def __init__(self, store: MapStore | None = None, limits: MapLimits | None = None) -> None:
        self.limits = limits or MapLimits()
        self.store: MapStore = store or MemoryMapStore(self.limits)
        self.rooms = Rooms(self.store)

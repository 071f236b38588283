"""The toolset `map`: where its maps are kept, and the stream that tells of their changes."""

from __future__ import annotations

from app.cli._equipment import Equipment
from app.cli._problems import wiring_redis
from app.settings import Settings
from app.toolsets.map.model import MapLimits
from app.toolsets.map.service import Maps
from app.toolsets.map.store import MapStore
from app.web.map_events import MapEvents


def equip_map(settings: Settings, equipment: Equipment) -> None:
    """Maps in Redis where one is configured, in this process otherwise; `/events` tells of their changes."""
    limits = MapLimits(
        ttl=settings.map_ttl,
        max_maps=settings.map_max_maps,
        max_markers=settings.map_max_markers,
        max_layer_bytes=settings.map_max_layer_bytes,
        max_bytes=settings.map_max_bytes,
        max_log_bytes=2 * settings.map_max_layer_bytes,
    )
    maps = Maps(_store(settings, limits), limits)
    equipment.given.append(maps)
    equipment.stores["map"] = "redis" if settings.redis_address else "memory"
    equipment.routes["/events"] = MapEvents(maps.rooms)
    equipment.on_start.append(maps.store.start)
    equipment.before_exit.append(maps.rooms.end)
    equipment.on_stop.append(maps.store.close)
    if settings.redis_address:
        equipment.checks["map"] = maps.store.ping


def _store(settings: Settings, limits: MapLimits) -> MapStore | None:
    if settings.redis_address is None:
        return None
    with wiring_redis():
        from app.toolsets.map.redis import RedisMapStore

        return RedisMapStore(settings.redis_address, limits)

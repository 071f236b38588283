"""What the toolsets `war` and `search` need: one pool of connections for both, and their limits."""

from __future__ import annotations

from app.cli._equipment import Equipment
from app.resilience.http import HttpClient
from app.settings import Settings
from app.toolsets.war.client import WarClient, WarLimits
from app.version import VERSION

USER_AGENT = f"slipway/{VERSION}"


def equip_war(settings: Settings, equipment: Equipment) -> None:
    """The war's API at the address of the settings. /ready tells when it failed too often; it is not asked for that."""
    limits = WarLimits(
        timeout=settings.war_timeout,
        max_bytes=settings.war_max_bytes,
        fresh_seconds=settings.war_cache_seconds,
        stale_seconds=settings.war_stale_seconds,
    )
    client = WarClient(_http(equipment), settings.war_url, limits)
    equipment.given.append(client)
    equipment.checks["war"] = client.upstream.check


def _http(equipment: Equipment) -> HttpClient:
    for given in equipment.given:
        if isinstance(given, HttpClient):
            return given
    client = HttpClient(USER_AGENT)
    equipment.given.append(client)
    equipment.on_stop.append(client.close)
    return client

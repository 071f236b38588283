"""What the toolsets `war` and `search` need: one pool of connections for both, and their limits."""

from __future__ import annotations

from importlib.util import find_spec

from app.cli._equipment import Equipment
from app.cli._problems import WiringError
from app.resilience.http import HttpClient
from app.settings import Settings
from app.version import VERSION

USER_AGENT = f"slipway/{VERSION}"


def equip_war(settings: Settings, equipment: Equipment) -> None:
    """The war's API at the address of the settings. /ready tells when it failed too often; it is not asked for that."""
    from app.toolsets.war.client import WarClient, WarLimits

    _need_httpx("war")
    limits = WarLimits(
        timeout=settings.war_timeout,
        max_bytes=settings.war_max_bytes,
        fresh_seconds=settings.war_cache_seconds,
        stale_seconds=settings.war_stale_seconds,
    )
    client = WarClient(_http(equipment), settings.war_url, limits)
    equipment.given.append(client)
    equipment.checks["war"] = client.upstream.check


def equip_search(settings: Settings, equipment: Equipment) -> None:
    """The providers that are configured, SearXNG first, and pages. /ready says so where there is no provider."""
    from app.toolsets.search.domains import DomainRules
    from app.toolsets.search.fetcher import FetchLimits, PageFetcher
    from app.toolsets.search.providers import Brave, Provider, Searxng
    from app.toolsets.search.searcher import Searcher

    _need_httpx("search")
    providers: list[Provider] = []
    if settings.search_searxng_url:
        providers.append(Searxng(_http(equipment), settings.search_searxng_url, settings.search_timeout))
    if settings.brave_key:
        url, key = settings.search_brave_url, settings.brave_key
        providers.append(Brave(_http(equipment), url, key, settings.search_timeout))
    rules = DomainRules(settings.search_allowed_domains, settings.search_blocked_domains)
    searcher = Searcher(
        providers, rules=rules, per_minute=settings.search_rate, cache_seconds=settings.search_cache_seconds
    )
    equipment.given.append(searcher)
    equipment.checks["search"] = searcher.check
    if settings.search_fetch:
        limits = FetchLimits(
            timeout=settings.search_fetch_timeout,
            max_bytes=settings.search_fetch_max_bytes,
            per_minute=settings.search_rate,
            cache_seconds=settings.search_cache_seconds,
        )
        fetcher = PageFetcher(USER_AGENT, limits, rules=rules)
        equipment.given.append(fetcher)
        equipment.on_stop.append(fetcher.close)


def _http(equipment: Equipment) -> HttpClient:
    for given in equipment.given:
        if isinstance(given, HttpClient):
            return given
    client = HttpClient(USER_AGENT)
    equipment.given.append(client)
    equipment.on_stop.append(client.close)
    return client


def _need_httpx(toolset: str) -> None:
    if find_spec("httpx") is None:
        raise WiringError(f"MCP_TOOLSETS has {toolset}, but the httpx package is missing: pip install 'slipway[http]'")

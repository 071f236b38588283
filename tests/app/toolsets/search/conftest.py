"""The web on this machine: one server, names that lead to it, and the tools on both."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from loopback import Loopback, loopback

from app.resilience import Backoff
from app.resilience.http import HttpClient
from app.toolsets.search.domains import DomainRules
from app.toolsets.search.fetcher import FetchLimits, PageFetcher
from app.toolsets.search.providers import Brave, Searxng
from app.toolsets.search.searcher import Searcher


@pytest.fixture
async def web() -> AsyncIterator[Loopback]:
    async with loopback() as server:
        yield server


@pytest.fixture
async def make_fetch(web: Loopback, caller):
    """Makes `fetch(path or address, …)`, which takes this machine for public. `names` says where names lead to."""
    fetchers: list[PageFetcher] = []

    def make(*, names=None, permit=lambda address: True, rules=None, ports=None, tls=None, **limits):
        resolved: list[str] = []

        async def resolve(host: str, port: int) -> list[str]:
            resolved.append(host)
            found = (names or {}).get(host, ["127.0.0.1"])
            return list(found(host) if callable(found) else found)

        more = {"tls": tls} if tls else {}
        fetcher = PageFetcher(
            "test",
            FetchLimits(**limits),
            rules=DomainRules(**(rules or {})),
            ports=ports or {web.port},
            resolve=resolve,
            permit=permit,
            **more,
        )
        fetchers.append(fetcher)
        call = caller("search", fetcher)

        async def fetch(where: str, **arguments: object):
            return await call("fetch_page", url=web.url + where if where.startswith("/") else where, **arguments)

        fetch.resolved = resolved  # type: ignore[attr-defined]
        return fetch

    yield make
    for fetcher in fetchers:
        await fetcher.close()


@pytest.fixture
def fetch(make_fetch):
    return make_fetch()


@pytest.fixture
async def make_search(web: Loopback, caller):
    """Makes `search(query, …)` on the providers named, all of them at the one server."""
    http = HttpClient("test")

    def make(*names: str, rules=None, **limits):
        made = {
            "searxng": lambda: Searxng(http, f"{web.url}/searxng", timeout=5),
            "brave": lambda: Brave(http, f"{web.url}/brave", "the-secret-key", timeout=5),
        }
        providers = [made[name]() for name in names]
        for provider in providers:
            provider._upstream._backoff = Backoff(base=0)
        searcher = Searcher(providers, rules=DomainRules(**(rules or {})), **limits)
        call = caller("search", searcher)

        async def search(query: str, **arguments: object):
            return await call("web_search", query=query, **arguments)

        search.searcher = searcher  # type: ignore[attr-defined]
        return search

    yield make
    await http.close()

"""Searching: the first provider that answers, cached, not too often, cleaned."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.lifecycle import NotConfigured
from app.resilience import CircuitOpen, StaleCache, TokenBucket
from app.resilience.upstream import UpstreamError
from app.toolsets import ToolFailure
from app.toolsets.search.domains import DomainRules
from app.toolsets.search.providers import Found, Provider, Query
from app.toolsets.search.text import without_tags
from app.toolsets.search.urls import clean

_MAX_TITLE = 300
_MAX_SNIPPET = 1000


class Result(msgspec.Struct):
    """One page that was found."""

    title: str
    url: str
    snippet: str
    domain: str
    published: str | None = None


class _Answer(msgspec.Struct):
    provider: str
    found: list[Found]


class Searcher:
    """Asks the providers in their order until one answers."""

    def __init__(
        self,
        providers: Sequence[Provider],
        *,
        rules: DomainRules | None = None,
        per_minute: float = 60.0,
        cache_seconds: float = 300.0,
        bucket: TokenBucket | None = None,
    ) -> None:
        self.providers = tuple(providers)
        self._rules = rules or DomainRules()
        self._per_minute = per_minute
        self._bucket = bucket or TokenBucket(per_minute / 60, max(1.0, per_minute / 6))
        self._kept: StaleCache[Query, _Answer] = StaleCache(ttl=cache_seconds, size=512)

    async def search(self, query: Query) -> tuple[str, list[Result]]:
        """Who answered, and what was found. Raises `ToolFailure`."""
        answer = (await self._kept.get(query, lambda: self._ask(query))).value
        return answer.provider, cleaned(answer.found, self._rules)[: query.count]

    async def check(self) -> None:
        """For /ready: raises `NotConfigured`, or what the last provider in the row says."""
        if not self.providers:
            raise NotConfigured("set MCP_SEARCH_SEARXNG_URL or MCP_SEARCH_BRAVE_KEY")
        for provider in self.providers[:-1]:
            try:
                await provider.check()
            except CircuitOpen:
                continue
            return
        await self.providers[-1].check()

    async def _ask(self, query: Query) -> _Answer:
        wait = self._bucket.take()
        if wait:
            most = f"{self._per_minute:g} searches a minute are the limit (MCP_SEARCH_RATE)"
            raise ToolFailure(f"Too many searches: {most}. Try again in {wait:.0f} s.")
        problems: list[str] = []
        for provider in self.providers:
            try:
                return _Answer(provider.name, await provider.search(query))
            except (UpstreamError, CircuitOpen) as error:
                problems.append(f"{provider.name}: {error}")
        raise ToolFailure(f"No search provider answers ({'; '.join(problems)}). Try again later.")


def cleaned(found: Sequence[Found], rules: DomainRules) -> list[Result]:
    """Results with plain text and plain addresses, each page once, only of domains that may be shown."""
    results: dict[str, Result] = {}
    for each in found:
        address = clean(each.url)
        if address is None or address.key in results or not rules.permit(address.host):
            continue
        results[address.key] = Result(
            title=_short(each.title, _MAX_TITLE) or address.host,
            url=address.url,
            snippet=_short(each.content, _MAX_SNIPPET),
            domain=address.host,
            published=_short(each.published, 40) or None if each.published else None,
        )
    return list(results.values())


def _short(markup: str, most: int) -> str:
    text = without_tags(markup[: most * 4])
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"

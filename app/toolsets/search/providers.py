"""Who searches: SearXNG and the Brave Search API, asked in their own words, answering in ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import msgspec

from app.resilience.http import HttpClient
from app.resilience.upstream import Upstream, UpstreamRefused, UpstreamWrong

Span = Literal["day", "week", "month", "year"]
Strictness = Literal["off", "moderate", "strict"]
Kind = TypeVar("Kind")

_MAX_BYTES = 4 * 1024 * 1024
_BRAVE_MOST = 20
_BRAVE_LAST_PAGE = 10


@dataclass(frozen=True, slots=True)
class Query:
    """What to search for."""

    text: str
    count: int = 10
    page: int = 1
    span: Span | None = None
    language: str | None = None
    safe: Strictness = "moderate"


class Found(msgspec.Struct):
    """One result as a provider gives it."""

    url: str
    title: str = ""
    content: str = ""
    published: str | None = None


class Provider(Protocol):
    """One search engine. `search` raises `UpstreamError` and `CircuitOpen`."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    async def search(self, query: Query) -> list[Found]:
        """What it finds."""
        ...

    async def check(self) -> None:
        """Raise while it is known to be away."""
        ...


class _SearxngResult(msgspec.Struct, rename="camel"):
    url: str = ""
    title: str = ""
    content: str | None = None
    published_date: str | None = None


class _SearxngAnswer(msgspec.Struct):
    results: list[_SearxngResult] = []


class Searxng:
    """A SearXNG instance that has the format `json` enabled."""

    name = "searxng"

    def __init__(self, http: HttpClient, base: str, timeout: float) -> None:
        self._upstream = Upstream(http, base, timeout=timeout, max_bytes=_MAX_BYTES)

    async def search(self, query: Query) -> list[Found]:
        """One page of results; how many it has is up to the instance."""
        params = {
            "q": query.text,
            "format": "json",
            "pageno": str(query.page),
            "safesearch": {"off": "0", "moderate": "1", "strict": "2"}[query.safe],
        }
        if query.language:
            params["language"] = query.language
        if query.span:
            params["time_range"] = query.span
        try:
            body = await self._upstream.get("/search", params)
        except UpstreamRefused as error:
            if error.status == 403:
                raise UpstreamWrong("it refuses JSON: its settings.yml needs json among search.formats") from None
            raise
        answer = _decoded(body, _SearxngAnswer)
        return [Found(each.url, each.title, each.content or "", each.published_date) for each in answer.results]

    async def check(self) -> None:
        """Whether the last searches failed."""
        await self._upstream.check()


class _BraveResult(msgspec.Struct):
    url: str = ""
    title: str = ""
    description: str | None = None
    page_age: str | None = None


class _BraveWeb(msgspec.Struct):
    results: list[_BraveResult] = []


class _BraveAnswer(msgspec.Struct):
    web: _BraveWeb | None = None


class Brave:
    """The Brave Search API, which wants a subscription token."""

    name = "brave"

    def __init__(self, http: HttpClient, base: str, key: str, timeout: float) -> None:
        headers = {"x-subscription-token": key}
        self._upstream = Upstream(http, base, timeout=timeout, max_bytes=_MAX_BYTES, headers=headers)

    async def search(self, query: Query) -> list[Found]:
        """Up to twenty results of one of the first ten pages."""
        if query.page > _BRAVE_LAST_PAGE:
            return []
        params = {
            "q": query.text,
            "count": str(min(query.count, _BRAVE_MOST)),
            "offset": str(query.page - 1),
            "safesearch": query.safe,
            "result_filter": "web",
            "text_decorations": "false",
        }
        if query.language:
            params["search_lang"] = query.language.partition("-")[0].lower()
        if query.span:
            params["freshness"] = {"day": "pd", "week": "pw", "month": "pm", "year": "py"}[query.span]
        try:
            body = await self._upstream.get("/res/v1/web/search", params)
        except UpstreamRefused as error:
            if error.status in (401, 403, 422) and b"TOKEN" in error.body.upper():
                raise UpstreamWrong("it refuses the subscription token: check MCP_SEARCH_BRAVE_KEY") from None
            raise
        web = _decoded(body, _BraveAnswer).web
        results = web.results if web else []
        return [Found(each.url, each.title, each.description or "", each.page_age) for each in results]

    async def check(self) -> None:
        """Whether the last searches failed."""
        await self._upstream.check()


def _decoded(body: bytes, kind: type[Kind]) -> Kind:
    try:
        answer: Any = msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UpstreamWrong(f"its answer is not what it should be: {str(error)[:200]}") from None
    return answer

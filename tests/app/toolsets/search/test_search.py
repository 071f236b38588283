"""Searching: what each provider is asked, what comes of its answers, limits, and /ready."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import httpx
import pytest
from loopback import Reply, as_json

from app.lifecycle import NotConfigured
from app.protocol.handlers import InvalidArguments
from app.resilience import CircuitOpen
from app.toolsets import ToolFailure, load

SEARXNG = "/searxng/search"
BRAVE = "/brave/res/v1/web/search"


def found(*results: dict[str, object]) -> Reply:
    return as_json({"query": "q", "results": list(results), "suggestions": [], "unresponsive_engines": [["x", "y"]]})


def brave(*results: dict[str, object]) -> Reply:
    return as_json({"type": "search", "web": {"type": "search", "results": list(results)}})


async def test_searxng_is_asked_in_its_own_words(make_search, web) -> None:
    page = {"url": "https://a.example/", "title": "A", "content": "About a", "publishedDate": "2026-01-02T00:00:00"}
    web.routes[SEARXNG] = found(page)
    answer = await make_search("searxng")(
        " two  words ", page=2, time_range="month", language="pt-BR", safe_search="strict"
    )
    assert answer == {
        "query": "two words",
        "provider": "searxng",
        "results": [
            {
                "title": "A",
                "url": "https://a.example/",
                "snippet": "About a",
                "domain": "a.example",
                "published": "2026-01-02T00:00:00",
            }
        ],
    }
    assert web.asked[0].query == {
        "q": "two words",
        "format": "json",
        "pageno": "2",
        "safesearch": "2",
        "language": "pt-BR",
        "time_range": "month",
    }


async def test_brave_is_asked_in_its_own_words(make_search, web) -> None:
    web.routes[BRAVE] = brave({"url": "https://a.example/", "title": "<b>A</b>", "description": "x &amp; y"})
    answer = await make_search("brave")("q", count=5, page=3, time_range="week", language="en-US")
    assert (answer["provider"], answer["results"][0]["title"], answer["results"][0]["snippet"]) == (
        "brave",
        "A",
        "x & y",
    )
    assert web.asked[0].headers["x-subscription-token"] == "the-secret-key"
    assert web.asked[0].query == {
        "q": "q",
        "count": "5",
        "offset": "2",
        "safesearch": "moderate",
        "result_filter": "web",
        "text_decorations": "false",
        "search_lang": "en",
        "freshness": "pw",
    }


async def test_results_are_cleaned(make_search, web) -> None:
    web.routes[SEARXNG] = found(
        {"url": "https://a.example/p?utm_source=x", "title": "<script>alert(1)</script>\u202eA", "content": None},
        {"url": "http://www.a.example/p/", "title": "the same page"},
        {"url": "javascript:alert(1)", "title": "no page"},
        {"url": "https://sub.blocked.example/", "title": "blocked"},
        {"url": "https://b.example/", "title": "", "content": "x" * 5000},
    )
    answer = await make_search("searxng", rules={"blocked": ["blocked.example"]})("q")
    first, second = answer["results"]
    assert (first["url"], first["title"], first["snippet"]) == ("https://a.example/p", "alert(1)A", "")
    assert (second["title"], len(second["snippet"])) == ("b.example", 1000)


async def test_an_allow_list_leaves_only_its_domains(make_search, web) -> None:
    web.routes[SEARXNG] = found({"url": "https://docs.a.example/"}, {"url": "https://b.example/"})
    answer = await make_search("searxng", rules={"allowed": ["a.example"]})("q")
    assert [result["domain"] for result in answer["results"]] == ["docs.a.example"]


async def test_no_more_results_than_asked_for(make_search, web) -> None:
    web.routes[SEARXNG] = found(*({"url": f"https://{number}.example/"} for number in range(50)))
    assert len((await make_search("searxng")("q", count=3))["results"]) == 3


async def test_the_same_search_is_asked_once(make_search, web) -> None:
    web.routes[SEARXNG] = found({"url": "https://a.example/"})
    search = make_search("searxng")
    await asyncio.gather(*(search("q") for _ in range(20)))
    await search("q")
    await search("q", page=2)
    assert len(web.asked) == 2


async def test_too_many_searches_are_refused_with_when_to_come_back(make_search, web) -> None:
    web.routes[SEARXNG] = found()
    search = make_search("searxng", per_minute=6)
    await search("one")
    with pytest.raises(ToolFailure, match=r"6 searches a minute .* Try again in \d+ s"):
        await search("two")
    await search("one")


async def test_another_provider_stands_in(make_search, web) -> None:
    web.routes[SEARXNG] = Reply(503)
    web.routes[BRAVE] = brave({"url": "https://a.example/"})
    assert (await make_search("searxng", "brave")("q"))["provider"] == "brave"


async def test_when_nobody_answers_each_is_named_and_no_key_is_told(make_search, web) -> None:
    web.routes[SEARXNG] = Reply(403, b"Forbidden")
    web.routes[BRAVE] = as_json({"error": {"code": "SUBSCRIPTION_TOKEN_INVALID"}}, 422)
    with pytest.raises(ToolFailure) as failure:
        await make_search("searxng", "brave")("q")
    said = str(failure.value)
    assert "searxng: it refuses JSON: its settings.yml needs json among search.formats" in said
    assert "brave: it refuses the subscription token: check MCP_SEARCH_BRAVE_KEY" in said
    assert "the-secret-key" not in said


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"results": [1]}', b'{"results": "x"}', b"\xff"])
async def test_an_answer_that_is_none_is_told(make_search, web, body) -> None:
    web.routes[SEARXNG] = Reply(200, body)
    with pytest.raises(ToolFailure, match="its answer is not what it should be"):
        await make_search("searxng")("q")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "'query' is missing"),
        ({"query": ""}, "'query' is"),
        ({"query": "x" * 401}, "'query' is"),
        ({"query": "q", "count": 21}, "'count' is 21"),
        ({"query": "q", "page": 0}, "'page' is 0"),
        ({"query": "q", "time_range": "decade"}, "'time_range' is"),
        ({"query": "q", "language": "en&x=1"}, "'language' is"),
        ({"query": "q", "safe_search": None}, "'safe_search' is null"),
        ({"query": ["q"]}, "'query' is"),
    ],
)
async def test_wrong_arguments_are_told(make_search, web, arguments, said) -> None:
    import msgspec

    tool = load(["search"], given=[make_search("searxng").searcher]).tool("web_search")
    with pytest.raises(InvalidArguments) as refused:
        await tool.call(msgspec.Raw(msgspec.json.encode(arguments)), None)
    assert said in str(refused.value)
    assert web.asked == []


async def test_a_query_of_nothing_visible_is_refused(make_search, web) -> None:
    with pytest.raises(ToolFailure, match="'query' is empty"):
        await make_search("searxng")(" \u200b\x00 ")


async def test_readiness_tells_a_provider_that_is_away_unless_another_answers(make_search, web) -> None:
    web.routes[SEARXNG] = Reply(503)
    web.routes[BRAVE] = brave()
    alone, both = make_search("searxng"), make_search("searxng", "brave")
    for number in range(2):
        with pytest.raises(ToolFailure):
            await alone(str(number))
        await both(str(number))
    with pytest.raises(CircuitOpen):
        await alone.searcher.check()
    await both.searcher.check()
    with pytest.raises(NotConfigured, match="set MCP_SEARCH_SEARXNG_URL or MCP_SEARCH_BRAVE_KEY"):
        await make_search().searcher.check()


async def ready(served) -> dict[str, object]:
    async with httpx.AsyncClient() as client:
        return (await client.get(f"{served.http}/ready")).json()


async def test_without_a_provider_there_is_no_search_and_ready_says_so(serve) -> None:
    answer = await ready(await serve(MCP_TOOLSETS="search,war"))
    assert answer == {
        "status": "ready",
        "tools": 7,
        "dependencies": {
            "sessions": "ok",
            "search": "not configured: set MCP_SEARCH_SEARXNG_URL or MCP_SEARCH_BRAVE_KEY",
            "war": "ok",
        },
    }
    without = await ready(await serve(MCP_TOOLSETS="search", MCP_SEARCH_FETCH="false"))
    assert without["tools"] == 0


async def test_a_key_in_a_file_makes_the_tool_appear(serve, tmp_path) -> None:
    (tmp_path / "key").write_text("the-secret-key\n")
    answer = await ready(await serve(MCP_TOOLSETS="search", MCP_SEARCH_BRAVE_KEY_FILE=str(tmp_path / "key")))
    assert (answer["tools"], answer["dependencies"]) == (2, {"sessions": "ok", "search": "ok"})


def test_without_httpx_the_start_says_what_to_install(monkeypatch) -> None:
    from app.cli import _outbound
    from app.cli._equipment import equip
    from app.cli._problems import WiringError
    from app.settings import Settings

    monkeypatch.setattr(_outbound, "find_spec", lambda name: None)
    for toolset in ("war", "search"):
        with pytest.raises(WiringError, match=rf"has {toolset}, but the httpx package is missing: pip install"):
            equip(Settings(MCP_TOOLSETS=toolset))


def test_choosing_the_toolsets_imports_no_http_client() -> None:
    code = (
        "from app.settings import Settings; from app.cli._equipment import equip; from app.toolsets import load; "
        "s = Settings(MCP_TOOLSETS='war,search', MCP_SEARCH_SEARXNG_URL='http://x'); "
        "load(s.toolsets, given=equip(s).given); "
        "import sys; print(*(m for m in ('httpx', 'httpcore', 'idna') if m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""

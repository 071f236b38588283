"""Lists are read to their end, if they have one."""

import json

import pytest

from app.gateway.upstream import UpstreamFailure


def names(items):
    return [json.loads(bytes(item))["name"] for item in items]


async def listed(upstream, peer, name, *pages):
    """List, while the server gives these pages; what is listed, and the cursors it was asked with."""
    import asyncio

    task = asyncio.create_task(upstream.list(name), name="test lists")
    cursors = []
    for page in pages:
        request = await peer.receive()
        cursors.append(request["params"].get("cursor"))
        peer.answer(request, page) if isinstance(page, dict) else peer.refuse(request, page)
    return await task, cursors


async def test_every_page_is_read(connect):
    upstream, peer = await connect()
    items, cursors = await listed(
        upstream,
        peer,
        "tools",
        {"tools": [{"name": "a"}, {"name": "b"}], "nextCursor": "1"},
        {"tools": [], "nextCursor": "2"},
        {"tools": [{"name": "c", "extra": {"kept": [1]}}]},
    )
    assert names(items) == ["a", "b", "c"]
    assert json.loads(bytes(items[2])) == {"name": "c", "extra": {"kept": [1]}}
    assert cursors == [None, "1", "2"]


async def test_a_cursor_that_comes_back_ends_the_list(connect):
    upstream, peer = await connect()
    page = {"tools": [{"name": "a"}], "nextCursor": "again"}
    items, _ = await listed(upstream, peer, "tools", page, page)
    assert names(items) == ["a", "a"]


async def test_a_list_without_end_is_cut_off(connect):
    upstream, peer = await connect(max_pages=3)
    pages = [{"tools": [{"name": str(n)}], "nextCursor": str(n)} for n in range(3)]
    items, _ = await listed(upstream, peer, "tools", *pages)
    assert names(items) == ["0", "1", "2"]
    upstream, peer = await connect_again(connect, max_items=2)
    items, _ = await listed(upstream, peer, "tools", {"tools": [{"name": n} for n in "abc"], "nextCursor": "x"})
    assert names(items) == ["a", "b"]


async def connect_again(connect, **options):
    return await connect(**options)


async def test_a_list_that_the_server_does_not_have_is_empty(connect):
    upstream, peer = await connect(capabilities={"tools": {}})
    assert await upstream.list("prompts") == []
    assert await upstream.list("templates") == []
    assert peer.quiet


async def test_resources_need_no_templates(connect):
    upstream, peer = await connect()
    assert await listed(upstream, peer, "templates", -32601) == ([], [None])
    items, _ = await listed(upstream, peer, "templates", {"resourceTemplates": [{"name": "t"}]})
    assert names(items) == ["t"]


async def test_items_that_are_no_objects_are_left_out(connect):
    upstream, peer = await connect()
    items, _ = await listed(upstream, peer, "tools", {"tools": [1, None, {"name": "a"}, "x", []]})
    assert names(items) == ["a"]


@pytest.mark.parametrize("page", [{"tools": 7}, {"tools": {}}, {"tools": [], "nextCursor": 7}])
async def test_an_answer_that_is_no_list_is_an_error_and_not_an_empty_list(connect, page):
    upstream, peer = await connect()
    with pytest.raises(UpstreamFailure, match="tools/list is no list"):
        await listed(upstream, peer, "tools", page)


async def test_a_list_that_is_refused_is_an_error_and_not_an_empty_list(connect):
    upstream, peer = await connect()
    with pytest.raises(UpstreamFailure):
        await listed(upstream, peer, "tools", -32601)

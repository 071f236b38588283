"""Lists: paged, encoded once, and in each revision's own words."""

import base64

import msgspec
import pytest

from app.protocol.content import Icon, ToolAnnotations
from app.toolsets import tool


def numbered(number):
    @tool(name=f"tool-{number:02}")
    async def made() -> str:
        """One of many."""
        return str(number)

    return made


async def walk(desk, method="tools/list", member="tools", **options):
    names, cursor, pages = [], None, 0
    while True:
        result = await desk.result(method, {"cursor": cursor} if cursor else {}, **options)
        names += [entry["name"] for entry in result[member]]
        pages += 1
        cursor = result.get("nextCursor")
        if cursor is None:
            return names, pages


@pytest.mark.parametrize("revision", ["2024-11-05", "2025-11-25", "2026-07-28"])
async def test_walking_the_pages_visits_every_tool_once_and_in_order(desk, revision):
    made = desk(*map(numbered, range(7)), page_size=3)
    assert await walk(made, revision=revision) == ([f"tool-{n:02}" for n in range(7)], 3)


async def test_a_last_page_that_is_full_has_no_cursor(desk):
    assert (await walk(desk(*map(numbered, range(6)), page_size=3)))[1] == 2


async def test_an_empty_list_is_one_empty_page(desk):
    assert await walk(desk()) == ([], 1)


async def test_tools_added_between_two_pages_do_not_disturb_the_walk(desk):
    made = desk(*map(numbered, range(4)), page_size=2)
    first = await made.result("tools/list")
    made.registry.remove_tool("tool-00")
    made.registry.add(numbered(9))
    second = await made.result("tools/list", {"cursor": first["nextCursor"]})
    assert [entry["name"] for entry in second["tools"]] == ["tool-02", "tool-03"]


@pytest.mark.parametrize("cursor", ["", "x", "ü", "AAAA", base64.b64encode(b"tool-99").decode(), "a" * 10_000])
async def test_a_cursor_that_is_not_one_of_the_lists_is_refused(desk, cursor):
    answer = await desk(*map(numbered, range(4)), page_size=2).ask("tools/list", {"cursor": cursor})
    assert answer["error"]["code"] == -32602
    assert "begin again" in answer["error"]["message"]


async def test_a_change_shows_at_once(desk):
    made = desk(numbered(1))
    assert (await walk(made))[0] == ["tool-01"]
    made.registry.add(numbered(2))
    assert (await walk(made))[0] == ["tool-01", "tool-02"]


async def test_a_list_is_encoded_once_a_revision(desk, monkeypatch):
    made = desk(*map(numbered, range(50)))
    encoded = []
    encode = msgspec.json.encode
    monkeypatch.setattr(msgspec.json, "encode", lambda *args, **named: encoded.append(1) or encode(*args, **named))
    for _ in range(3):
        await made.result("tools/list")
        await made.result("tools/list", revision="2025-11-25")
    assert len(encoded) == 2


@pytest.mark.parametrize(
    ("revision", "members"),
    [
        ("2024-11-05", {"name", "description", "inputSchema"}),
        ("2025-03-26", {"name", "description", "inputSchema", "annotations"}),
        ("2025-06-18", {"name", "description", "inputSchema", "annotations", "outputSchema", "title"}),
        ("2025-11-25", {"name", "description", "inputSchema", "annotations", "outputSchema", "title", "icons"}),
        ("2026-07-28", {"name", "description", "inputSchema", "annotations", "outputSchema", "title", "icons"}),
    ],
)
async def test_a_tool_is_shown_with_what_the_revision_knows(desk, revision, members):
    @tool(title="T", icons=[Icon(src="https://x.example/i.png")], annotations=ToolAnnotations(read_only_hint=True))
    async def full() -> dict[str, int]:
        """Everything at once."""
        return {}

    shown = (await desk(full).result("tools/list", revision=revision))["tools"][0]
    assert set(shown) == members

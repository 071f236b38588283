"""Calls in, encoded answers out, the same for every transport."""

import asyncio
import json

import msgspec
import pytest

from app.protocol.content import (
    Audio,
    Embedded,
    Image,
    PromptMessage,
    ResourceContents,
    ResourceLink,
    Text,
    ToolResult,
)
from app.protocol.context import CallContext
from app.protocol.handlers import ToolFailure
from app.protocol.revisions import NEWEST_WITH_HANDSHAKE
from app.toolsets import prompt, resource, resource_template, tool

EVERY = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"]
KEPT = ToolResult(content=[Text(text="shared")])


@tool
async def kept() -> ToolResult:
    """Returns the same object each time."""
    return KEPT


@tool
async def rich() -> ToolResult:
    """Returns one block of each kind."""
    blocks = [
        Text(text="t"),
        Image(data="aQ==", mime_type="image/png"),
        Audio(data="YQ==", mime_type="audio/wav"),
        Embedded(resource=ResourceContents(uri="test://e", text="e")),
        ResourceLink(uri="test://l", name="l"),
    ]
    return ToolResult(content=blocks, structured_content={"a": 1})


@tool
async def failing(how: str) -> str:
    """Fails in one way or another."""
    if how == "told":
        raise ToolFailure("the moon is full")
    raise RuntimeError("secret detail")


@prompt
async def sound() -> PromptMessage:
    """A prompt with a sound in it."""
    return PromptMessage(role="user", content=Audio(data="YQ==", mime_type="audio/wav"))


@resource("test://there", name="there")
async def there() -> str:
    """A resource."""
    return "here"


async def test_a_result_object_that_a_tool_keeps_is_right_in_both_eras(desk):
    made = desk(kept)
    for _ in range(2):
        new = await made.result("tools/call", {"name": "kept"})
        assert new["resultType"] == "complete"
        old = await made.result("tools/call", {"name": "kept"}, revision="2025-11-25")
        assert old == {"content": [{"type": "text", "text": "shared"}]}


@pytest.mark.parametrize("revision", EVERY)
async def test_a_result_has_only_what_its_revision_knows(desk, revision):
    result = await desk(rich).result("tools/call", {"name": "rich"}, revision=revision)
    kinds = [block["type"] for block in result["content"]]
    assert kinds[:2] == ["text", "image"]
    assert kinds[2] == ("text" if revision == "2024-11-05" else "audio")
    assert kinds[4] == ("resource_link" if revision >= "2025-06-18" else "text")
    assert ("structuredContent" in result) == (revision >= "2025-06-18")
    assert ("resultType" in result) == (revision == "2026-07-28")


async def test_a_prompt_has_only_what_its_revision_knows(desk):
    made = desk(sound)
    old = await made.result("prompts/get", {"name": "sound"}, revision="2024-11-05")
    assert old["messages"][0]["content"]["type"] == "text"
    new = await made.result("prompts/get", {"name": "sound"}, revision="2025-11-25")
    assert new["messages"][0]["content"]["type"] == "audio"


async def test_a_tools_own_failure_is_told_and_an_unexpected_one_is_not(desk, caplog):
    made = desk(failing)
    told = await made.result("tools/call", {"name": "failing", "arguments": {"how": "told"}})
    assert (told["isError"], told["content"][0]["text"]) == (True, "the moon is full")
    unexpected = await made.result("tools/call", {"name": "failing", "arguments": {"how": "x"}})
    assert unexpected["isError"] is True
    assert "secret" not in unexpected["content"][0]["text"]
    assert "secret detail" in caplog.text


@pytest.mark.parametrize("arguments", [{}, {"how": 5}, {"how": "x", "more": 1}])
async def test_arguments_that_do_not_fit_are_told_to_the_model(desk, arguments):
    result = await desk(failing).result("tools/call", {"name": "failing", "arguments": arguments})
    assert result["isError"] is True
    assert "how" in result["content"][0]["text"] or "more" in result["content"][0]["text"]


@pytest.mark.parametrize(("revision", "code"), [("2025-11-25", -32002), ("2026-07-28", -32602)])
async def test_a_resource_that_is_not_there_has_its_revisions_code(desk, revision, code):
    answer = await desk(there).ask("resources/read", {"uri": "test://gone"}, revision=revision)
    assert (answer["error"]["code"], answer["error"]["data"]) == (code, {"uri": "test://gone"})


async def test_a_subscription_is_kept_in_the_session(desk, session):
    made = desk(there)
    await made.result("resources/subscribe", {"uri": "test://there"}, revision="2025-11-25", session=session)
    assert (session.subscriptions, made.call.session_changed) == ({"test://there"}, True)
    gone = await made.ask("resources/subscribe", {"uri": "test://gone"}, revision="2025-11-25", session=session)
    assert gone["error"]["code"] == -32002
    await made.result("resources/unsubscribe", {"uri": "test://there"}, revision="2025-11-25", session=session)
    assert session.subscriptions == set()


@pytest.mark.parametrize(
    ("method", "eras"),
    [
        ("ping", "old"),
        ("initialize", "old"),
        ("logging/setLevel", "old"),
        ("server/discover", "new"),
        ("subscriptions/listen", "new"),
        ("tasks/get", "new"),
        ("tasks/list", ""),
        ("tasks/result", ""),
        ("skills/list", ""),
    ],
)
async def test_a_method_exists_only_in_its_era(desk, method, eras):
    made = desk()
    for era, revision in (("old", "2025-11-25"), ("new", "2026-07-28")):
        if era in eras:
            continue
        assert (await made.ask(method, {}, revision=revision))["error"]["code"] == -32601


async def test_completions_are_capped_at_a_hundred(desk):
    @prompt
    async def choose(what: str) -> str:
        """Choose."""
        return what

    @choose.completes("what")
    async def suggest(value, others):
        return [f"{value}{n}" for n in range(150)]

    params = {"ref": {"type": "ref/prompt", "name": "choose"}, "argument": {"name": "what", "value": "a"}}
    completion = (await desk(choose).result("completion/complete", params))["completion"]
    assert (len(completion["values"]), completion["total"], completion["hasMore"]) == (100, 150, True)


@pytest.mark.parametrize(
    "ref", [{}, {"type": "ref/other"}, {"type": "ref/prompt"}, {"type": "ref/prompt", "name": "no"}]
)
async def test_a_completion_of_nothing_known_is_refused(desk, ref):
    params = {"ref": ref, "argument": {"name": "what", "value": "a"}}
    assert (await desk().ask("completion/complete", params))["error"]["code"] == -32602


async def test_a_template_reads_what_its_address_says(desk):
    @resource_template("test://item/{number}", name="item")
    async def item(number: str) -> str:
        """An item."""
        return f"item {number}"

    result = await desk(item).result("resources/read", {"uri": "test://item/7"})
    assert result["contents"][0]["text"] == "item 7"


async def test_the_handshake_is_given_to_the_transport(desk):
    made = desk()
    params = {
        "protocolVersion": "2025-06-18",
        "capabilities": {"roots": {}},
        "clientInfo": {"name": "c", "version": "1"},
    }
    await made.result("initialize", params, revision=NEWEST_WITH_HANDSHAKE.name)
    assert made.call.handshake.revision.name == "2025-06-18"
    assert made.call.handshake.client_capabilities == {"roots": {}}


async def test_progress_that_does_not_grow_is_dropped(desk):
    @tool
    async def back_and_forth(context: CallContext) -> str:
        """Reports 1, 1, 0.5, 2."""
        for progress in (1, 1, 0.5, 2):
            await context.progress(progress)
        return "done"

    made = desk(back_and_forth)
    await made.result("tools/call", {"name": "back_and_forth", "_meta": {"progressToken": 0}}, revision="2025-11-25")
    assert [params["progress"] for _, params in made.heard.notifications] == [1, 2]
    assert made.heard.notifications[0][1]["progressToken"] == 0


async def test_cancelling_an_answer_cancels_the_tool(desk):
    started, ended = asyncio.Event(), asyncio.Event()

    @tool
    async def hold() -> str:
        """Waits."""
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return "never"

    asking = asyncio.create_task(desk(hold).ask("tools/call", {"name": "hold"}))
    await started.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert ended.is_set()


async def test_an_error_inside_the_server_is_told_without_its_details(desk, monkeypatch, caplog):
    made = desk()
    monkeypatch.setattr(made.registry, "tool", lambda name: 1 / 0)
    error = (await made.ask("tools/call", {"name": "x"}))["error"]
    assert error["code"] == -32603
    assert "zero" not in json.dumps(error)
    assert "ZeroDivisionError" in caplog.text


def test_a_notification_that_makes_no_sense_is_ignored(desk, session):
    notice = desk().dispatcher.notice
    assert notice("notifications/no-such", None, session).cancel is None
    assert notice("notifications/cancelled", msgspec.Raw(b'{"requestId":[]}'), session).cancel is None
    assert notice("notifications/cancelled", None, session).cancel is None
    assert notice("notifications/cancelled", msgspec.Raw(b'{"requestId":"7"}'), session).cancel == "7"
    assert not notice("notifications/initialized", None, session).save_session
    session.initialized = False
    assert notice("notifications/initialized", None, session).save_session

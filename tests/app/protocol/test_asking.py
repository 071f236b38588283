"""What a client may be asked depends on what it declared; how it is asked, on the revision."""

import pytest

from app.protocol.context import CallContext
from app.toolsets import tool


@tool
async def log_in(context: CallContext) -> str:
    """Send the person to a page."""
    answer = await context.elicit_url("Please log in", "https://login.example/", key="login")
    return answer.action


@tool
async def fill_in(context: CallContext) -> str:
    """Show the person a form."""
    answer = await context.elicit("Your name?", {"type": "object", "properties": {}}, key="form")
    return f"{answer.action} {answer.content}"


@tool
async def think(context: CallContext) -> str:
    """Ask a model that may use tools."""
    answer = await context.sample([], 10, tools=[{"name": "t", "inputSchema": {"type": "object"}}])
    return answer["content"]["text"]


@pytest.mark.parametrize(
    ("name", "declared", "needed"),
    [
        ("log_in", {}, {"elicitation": {}}),
        ("log_in", {"elicitation": {}}, {"elicitation": {"url": {}}}),
        ("log_in", {"elicitation": {"form": {}}}, {"elicitation": {"url": {}}}),
        ("log_in", {"elicitation": {"url": {}}}, None),
        ("fill_in", {"elicitation": {}}, None),
        ("fill_in", {"elicitation": {"form": {}}}, None),
        ("fill_in", {"elicitation": {"url": {}}}, {"elicitation": {"form": {}}}),
        ("think", {"sampling": {}}, {"sampling": {"tools": {}}}),
        ("think", {"sampling": {"tools": {}}}, None),
    ],
)
async def test_a_client_is_asked_only_what_it_declared(desk, name, declared, needed):
    answer = await desk(log_in, fill_in, think).ask("tools/call", {"name": name, "capabilities": declared})
    if needed is None:
        assert answer["result"]["resultType"] == "input_required"
    else:
        assert (answer["error"]["code"], answer["error"]["data"]) == (-32021, {"requiredCapabilities": needed})


async def test_a_person_is_sent_to_an_address(desk):
    capabilities = {"elicitation": {"url": {}}}
    asked = await desk(log_in).result("tools/call", {"name": "log_in", "capabilities": capabilities})
    assert asked["inputRequests"]["login"]["params"] == {
        "mode": "url",
        "message": "Please log in",
        "url": "https://login.example/",
    }


@pytest.mark.parametrize("content", [{}, {"content": None}, {"content": {}}])
async def test_an_answer_without_content_is_an_answer(desk, content):
    params = {"name": "fill_in", "capabilities": {"elicitation": {}}}
    answers = {"form": {"action": "cancel", **content}}
    result = await desk(fill_in).result("tools/call", {**params, "inputResponses": answers})
    assert result["content"][0]["text"] == "cancel {}"

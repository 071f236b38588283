"""What people who look at a server are shown of its calls."""

from __future__ import annotations

import msgspec

from app.protocol.calls import ANONYMOUS, Call
from app.protocol.content import Implementation
from app.protocol.revisions import NEWEST
from app.telemetry.activity import Activity
from app.telemetry.metrics import Metrics
from app.telemetry.observed import ObservedDispatcher
from app.toolsets import ToolsetRegistry, tool

META = {"io.modelcontextprotocol/protocolVersion": NEWEST.name, "io.modelcontextprotocol/clientCapabilities": {}}


@tool
async def divide(by: int) -> str:
    """Divide one."""
    return str(1 / by)


async def shown(*calls: tuple[str, dict]) -> list[tuple[str, bool]]:
    registry = ToolsetRegistry()
    registry.add(divide)
    activity = Activity()
    dispatcher = ObservedDispatcher(
        registry,
        Implementation(name="t", version="1"),
        metrics=Metrics(version="1"),
        log_calls=False,
        activity=activity,
    )
    for method, params in calls:
        raw = msgspec.Raw(msgspec.json.encode({**params, "_meta": META}))
        await dispatcher.answer(Call(1, method, raw, NEWEST, None, ANONYMOUS, None))
    return [(call.what, call.failed) for call in activity.now().calls]


async def test_calls_are_shown_the_newest_first_by_their_tool() -> None:
    assert await shown(("tools/list", {}), ("tools/call", {"name": "divide", "arguments": {"by": 2}})) == [
        ("divide", False),
        ("tools/list", False),
    ]


async def test_a_tool_that_fails_is_shown_as_failed() -> None:
    assert await shown(("tools/call", {"name": "divide", "arguments": {"by": 0}})) == [("divide", True)]
    assert await shown(("tools/call", {"name": "divide", "arguments": {"by": "x"}})) == [("divide", True)]


async def test_a_request_that_is_refused_is_shown_as_failed() -> None:
    assert await shown(("tools/call", {"name": "unknown", "arguments": {}})) == [("unknown", True)]

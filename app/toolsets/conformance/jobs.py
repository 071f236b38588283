"""Tools that may go on as a task after their call is answered."""

from __future__ import annotations

import asyncio
from typing import Annotated

from msgspec import Meta

from app.protocol.errors import INTERNAL_ERROR, ProtocolError
from app.toolsets import CallContext, ToolFailure, tool
from app.toolsets.conformance.rounds import form


@tool
async def greet(name: str) -> str:
    """Greets at once."""
    return f"Hello, {name}!"


@tool(timeout=None, tasks="optional")
async def slow_compute(seconds: Annotated[float, Meta(ge=0, le=300)], label: str = "unnamed") -> str:
    """Computes for some seconds."""
    await asyncio.sleep(seconds)
    return f"Computed '{label}' for {seconds:g} s."


@tool(timeout=None, tasks="required")
async def failing_job() -> str:
    """Fails after a while."""
    await asyncio.sleep(1)
    raise ToolFailure("The job failed, as it always does.")


@tool(timeout=None, tasks="required")
async def protocol_error_job() -> str:
    """Ends in a protocol error."""
    raise ProtocolError(INTERNAL_ERROR, "The job broke down, as it always does.")


@tool(timeout=None, tasks="optional")
async def confirm_delete(filename: str, context: CallContext) -> str:
    """Asks before it deletes (nothing)."""
    answer = await context.elicit(
        f"Delete {filename}?", {"type": "object", "properties": {"confirm": {"type": "boolean"}}}, key="confirm"
    )
    agreed = answer.action == "accept" and answer.content.get("confirm") is True
    return f"{filename} was {'deleted' if agreed else 'kept'}."


@tool(timeout=None, tasks="optional")
async def multi_input(context: CallContext) -> str:
    """Asks two things at once."""
    answers = await context.ask(
        {"name": form("What is your name?", "name"), "confirm": form("Go on?", "confirm", "boolean")}
    )
    return f"Got {len(answers)} answers."


@tool(timeout=None, tasks="required", asks_first=True)
async def test_tool_with_task(context: CallContext) -> str:
    """Asks for a name first, then goes on as a task."""
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    answer = await context.elicit("What is your name?", schema, key="user_name")
    await context.detach()
    return f"Hello, {answer.content.get('name', 'whoever you are')}!"

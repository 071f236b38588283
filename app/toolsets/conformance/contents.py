"""Tools that return each kind of content, report progress and logs, and fail."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from msgspec import Meta

from app.toolsets import (
    Audio,
    CallContext,
    ContentBlock,
    Embedded,
    Image,
    ResourceContents,
    Text,
    ToolFailure,
    tool,
)
from app.toolsets.conformance.media import PNG, WAV

_PAUSE = 0.05


@tool
async def test_simple_text() -> str:
    """Returns one text."""
    return "This is a simple text response for testing."


@tool
async def test_image_content() -> Image:
    """Returns one picture."""
    return Image(data=PNG, mime_type="image/png")


@tool
async def test_audio_content() -> Audio:
    """Returns one sound."""
    return Audio(data=WAV, mime_type="audio/wav")


@tool
async def test_embedded_resource() -> Embedded:
    """Returns one resource with its contents."""
    return Embedded(
        resource=ResourceContents(
            uri="test://embedded-resource", mime_type="text/plain", text="This is an embedded resource content."
        )
    )


@tool
async def test_multiple_content_types() -> list[ContentBlock]:
    """Returns a text, a picture and a resource."""
    return [
        Text(text="Multiple content types test:"),
        Image(data=PNG, mime_type="image/png"),
        Embedded(
            resource=ResourceContents(
                uri="test://mixed-content-resource", mime_type="application/json", text='{"test":"data","value":123}'
            )
        ),
    ]


@tool
async def test_error_handling() -> str:
    """Always fails."""
    raise ToolFailure("This tool intentionally returns an error for testing")


@tool
async def test_tool_with_logging(context: CallContext) -> str:
    """Logs three lines."""
    await context.log("info", "Tool execution started")
    await asyncio.sleep(_PAUSE)
    await context.log("info", "Tool processing data")
    await asyncio.sleep(_PAUSE)
    await context.log("info", "Tool execution completed")
    return "Three lines were logged."


@tool
async def test_logging_tool(context: CallContext) -> str:
    """Logs one line, for those who want lines."""
    await context.log("info", "test_logging_tool was called")
    return "One line was logged."


@tool
async def test_tool_with_progress(context: CallContext) -> str:
    """Reports progress three times."""
    for done in (0, 50, 100):
        await context.progress(done, 100, f"{done} of 100")
        await asyncio.sleep(_PAUSE)
    return "Progress was reported three times."


@tool
async def test_reconnection(context: CallContext) -> str:
    """Lets the connection go before it has a result: the client comes back for it."""
    await context.release()
    await asyncio.sleep(_PAUSE)
    return "The result outlived its stream."


@tool
async def test_header_parameter(
    region: Annotated[str, Meta(description="Mirrored into a header", extra_json_schema={"x-mcp-header": "Region"})],
) -> str:
    """Takes an argument that clients repeat as a header."""
    return f"Region: {region}"


@tool(
    name="json_schema_2020_12_tool",
    input_schema={
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
            }
        },
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": False,
    },
)
async def json_schema_2020_12_tool(arguments: dict[str, Any]) -> str:
    """Tool with JSON Schema 2020-12 features"""
    return f"Given: {', '.join(sorted(arguments)) or 'nothing'}."

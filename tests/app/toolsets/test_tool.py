"""`@tool`: what a function becomes, and what a call of it gives."""

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from msgspec import UNSET, Raw

from app.protocol.errors import ProtocolError
from app.protocol.handlers import InvalidArguments
from app.toolsets import CallContext, Image, Text, ToolAnnotations, ToolFailure, ToolResult, tool


def arguments(**sent: Any) -> Raw:
    return Raw(msgspec.json.encode(sent))


def wire(result: ToolResult) -> Any:
    return msgspec.json.decode(msgspec.json.encode(result))


class Sum(msgspec.Struct):
    total: int


async def test_name_description_and_schemas_come_from_the_function() -> None:
    @tool
    async def add(first: int, second: int = 1) -> Sum:
        """Add two numbers.

        Whole ones.
        """
        return Sum(first + second)

    assert msgspec.to_builtins(add.definition) == {
        "name": "add",
        "description": "Add two numbers.\n\nWhole ones.",
        "inputSchema": {
            "type": "object",
            "properties": {"first": {"type": "integer"}, "second": {"type": "integer", "default": 1}},
            "required": ["first"],
            "additionalProperties": False,
        },
        "outputSchema": {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]},
    }


async def test_what_is_said_in_the_decorator_goes_before_the_function() -> None:
    @tool(name="sum", title="Sum", description="Adds.", annotations=ToolAnnotations(read_only_hint=True))
    async def add(first: int) -> str:
        """Ignored."""
        return str(first)

    assert (add.definition.name, add.definition.title, add.definition.description) == ("sum", "Sum", "Adds.")
    assert add.definition.annotations == ToolAnnotations(read_only_hint=True)


async def test_a_string_becomes_one_text(context: CallContext) -> None:
    @tool
    async def greet(name: str) -> str:
        """Greet."""
        return f"Hello, {name}!"

    assert await greet.call(arguments(name="Ada"), context) == ToolResult(content=[Text(text="Hello, Ada!")])
    assert greet.definition.output_schema is UNSET


async def test_plain_data_is_structured_and_also_said_as_text(context: CallContext) -> None:
    @tool
    async def add(first: int) -> Sum:
        """Add."""
        return Sum(first)

    result = wire(await add.call(arguments(first=2), context))
    assert result == {"content": [{"type": "text", "text": '{"total":2}'}], "structuredContent": {"total": 2}}


async def test_a_dataclass_or_a_mapping_is_structured_as_it_is(context: CallContext) -> None:
    @dataclass
    class Named:
        name: str

    globals()["Named"] = Named

    @tool
    async def named() -> Named:
        """Name."""
        return Named("x")

    @tool
    async def counted() -> dict[str, int]:
        """Count."""
        return {"a": 1}

    assert wire(await named.call(None, context))["structuredContent"] == {"name": "x"}
    assert wire(await counted.call(None, context))["structuredContent"] == {"a": 1}


async def test_what_is_no_object_is_wrapped_in_one(context: CallContext) -> None:
    @tool
    async def totals() -> list[Sum]:
        """Totals."""
        return [Sum(1)]

    result = wire(await totals.call(None, context))
    assert result["structuredContent"] == {"result": [{"total": 1}]}
    assert totals.definition.output_schema == {
        "type": "object",
        "properties": {"result": {"type": "array", "items": {"$ref": "#/$defs/Sum"}}},
        "required": ["result"],
        "$defs": {
            "Sum": {
                "title": "Sum",
                "type": "object",
                "properties": {"total": {"type": "integer"}},
                "required": ["total"],
            }
        },
    }


async def test_content_blocks_are_the_content(context: CallContext) -> None:
    @tool
    async def draw() -> Image:
        """Draw."""
        return Image(data="AA==", mime_type="image/png")

    @tool
    async def both() -> list[Text | Image]:
        """Both."""
        return [Text(text="see"), Image(data="AA==", mime_type="image/png")]

    assert [block.__class__ for block in (await draw.call(None, context)).content] == [Image]
    assert [block.__class__ for block in (await both.call(None, context)).content] == [Text, Image]
    assert draw.definition.output_schema is UNSET


async def test_nothing_returned_is_no_content(context: CallContext) -> None:
    @tool
    async def do() -> None:
        """Do."""

    assert (await do.call(None, context)).content == []


async def test_wrong_arguments_never_reach_the_function(context: CallContext) -> None:
    called = False

    @tool
    async def add(first: int) -> str:
        """Add."""
        nonlocal called
        called = True
        return str(first)

    with pytest.raises(InvalidArguments, match="Argument 'first' is missing"):
        await add.call(arguments(), context)
    with pytest.raises(InvalidArguments, match="Argument 'first' is missing"):
        await add.call(None, context)
    assert not called


async def test_arguments_that_are_no_object_are_an_error_of_the_protocol(context: CallContext) -> None:
    @tool
    async def add(first: int) -> str:
        """Add."""
        return str(first)

    with pytest.raises(ProtocolError, match=r"The arguments are \[1\]. Send a JSON object."):
        await add.call(Raw(b"[1]"), context)


async def test_a_context_parameter_gets_the_call_and_is_not_in_the_schema(context: CallContext) -> None:
    @tool
    async def who(context: CallContext) -> str:
        """Who calls."""
        return context.caller.subject

    assert (await who.call(None, context)).content == [Text(text="anonymous")]
    assert who.definition.input_schema["properties"] == {}


async def test_a_tool_that_takes_too_long_is_stopped_and_says_so(context: CallContext) -> None:
    stopped = asyncio.Event()

    @tool(timeout=0.01)
    async def forever() -> str:
        """Never ends."""
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stopped.set()
            raise
        return ""

    with pytest.raises(ToolFailure, match=r"'forever' did not finish within its limit of 0\.01 s"):
        await forever.call(None, context)
    assert stopped.is_set()


async def test_a_timeout_of_the_tools_own_is_not_taken_for_the_limit(context: CallContext) -> None:
    @tool
    async def slow() -> str:
        """Times out inside."""
        raise TimeoutError("the database did not answer")

    with pytest.raises(TimeoutError, match="the database did not answer"):
        await slow.call(None, context)


async def test_with_a_schema_of_its_own_a_tool_takes_all_arguments_unchecked(context: CallContext) -> None:
    schema = {"type": "object", "allOf": [{"required": ["a"]}]}

    @tool(input_schema=schema)
    async def free(given: dict[str, Any], context: CallContext) -> str:
        """Takes anything."""
        return f"{sorted(given)} {context.caller.subject}"

    assert free.definition.input_schema == schema
    assert (await free.call(arguments(b=1), context)).content == [Text(text="['b'] anonymous")]
    with pytest.raises(ProtocolError, match="Send a JSON object"):
        await free.call(Raw(b"[]"), context)


async def test_a_tool_can_still_be_called_as_the_function_it_is() -> None:
    @tool
    async def double(number: int) -> str:
        """Double."""
        return str(number * 2)

    assert await double(4) == "8"


def test_a_function_that_is_not_async_is_refused() -> None:
    with pytest.raises(TypeError, match="make it `async def`"):

        @tool
        def blocking() -> str:
            """Blocks."""
            return ""


def test_a_function_that_does_not_say_what_it_returns_is_refused() -> None:
    with pytest.raises(TypeError, match="return annotation"):

        @tool
        async def silent():
            """Says nothing."""


def test_a_tool_forbids_tasks_unless_it_says_otherwise() -> None:
    @tool
    async def quick() -> str:
        """Quick."""
        return ""

    @tool(tasks="required", asks_first=True)
    async def long() -> str:
        """Long."""
        return ""

    assert (quick.tasks, quick.asks_first) == ("forbidden", False)
    assert (long.tasks, long.asks_first) == ("required", True)

"""The suite's prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta

from app.toolsets import CallContext, Embedded, Image, PromptMessage, ResourceContents, Text, prompt
from app.toolsets.conformance.media import PNG

_PLACES = ["paris", "park", "party", "test one", "test two"]


@prompt
async def test_simple_prompt() -> str:
    """A prompt without arguments."""
    return "This is a simple prompt for testing."


@prompt
async def test_prompt_with_arguments(
    arg1: Annotated[str, Meta(description="First test argument")],
    arg2: Annotated[str, Meta(description="Second test argument")],
) -> str:
    """A prompt with two arguments."""
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


@test_prompt_with_arguments.completes("arg1")
async def places(value: str, others: Mapping[str, str]) -> list[str]:  # noqa: ARG001
    """Words that begin as `value` does."""
    return [place for place in _PLACES if place.startswith(value)]


@prompt
async def test_prompt_with_embedded_resource(
    resourceUri: Annotated[str, Meta(description="URI of the resource to embed")],  # noqa: N803
) -> list[PromptMessage]:
    """A prompt that brings a resource."""
    contents = ResourceContents(uri=resourceUri, mime_type="text/plain", text="Embedded resource content for testing.")
    return [_user(Embedded(resource=contents)), _user(Text(text="Please process the embedded resource above."))]


@prompt
async def test_prompt_with_image() -> list[PromptMessage]:
    """A prompt that brings a picture."""
    return [
        _user(Image(data=PNG, mime_type="image/png")),
        _user(Text(text="Please analyze the image above.")),
    ]


@prompt
async def test_input_required_result_prompt(context: CallContext) -> str:
    """A prompt that asks before it is filled in."""
    schema = {"type": "object", "properties": {"context": {"type": "string"}}, "required": ["context"]}
    answer = await context.elicit("What context should the prompt use?", schema, key="user_context")
    return f"Use this context: {answer.content.get('context', 'none')}"


def _user(content: Embedded | Image | Text) -> PromptMessage:
    return PromptMessage(role="user", content=content)

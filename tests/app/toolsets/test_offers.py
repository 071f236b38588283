"""Prompts, resources and templates made of functions."""

import base64
from collections.abc import Mapping
from typing import Annotated

import msgspec
import pytest
from msgspec import Meta

from app.protocol.handlers import InvalidArguments
from app.toolsets import (
    CallContext,
    PromptMessage,
    PromptResult,
    ResourceContents,
    ResourceResult,
    Text,
    prompt,
    resource,
    resource_template,
)


def said(result: PromptResult) -> list[tuple[str, str]]:
    return [(message.role, message.content.text) for message in result.messages if isinstance(message.content, Text)]


async def test_a_prompt_lists_its_arguments_from_the_signature() -> None:
    @prompt(title="Review")
    async def review(code: Annotated[str, Meta(description="What to review")], style: str = "plain") -> str:
        """Review some code."""
        return f"{style}: {code}"

    assert msgspec.to_builtins(review.definition) == {
        "name": "review",
        "title": "Review",
        "description": "Review some code.",
        "arguments": [
            {"name": "code", "description": "What to review", "required": True},
            {"name": "style"},
        ],
    }


async def test_a_prompts_string_is_one_message_of_the_users(context: CallContext) -> None:
    @prompt
    async def review(code: str) -> str:
        """Review."""
        return f"Review {code}"

    result = await review.get({"code": "x = 1"}, context)
    assert said(result) == [("user", "Review x = 1")]
    assert result.description == "Review."


async def test_a_prompts_messages_and_results_stay_as_they_are(context: CallContext) -> None:
    message = PromptMessage(role="assistant", content=Text(text="Yes?"))

    @prompt
    async def one() -> PromptMessage:
        """One."""
        return message

    @prompt
    async def many() -> list[PromptMessage]:
        """Many."""
        return [message, message]

    @prompt
    async def whole() -> PromptResult:
        """Whole."""
        return PromptResult(messages=[message], description="Made now.")

    assert said(await one.get({}, context)) == [("assistant", "Yes?")]
    assert len((await many.get({}, context)).messages) == 2
    assert (await whole.get({}, context)).description == "Made now."


async def test_a_prompt_without_a_needed_argument_is_refused(context: CallContext) -> None:
    @prompt
    async def review(code: str) -> str:
        """Review."""
        return code

    with pytest.raises(InvalidArguments, match="Argument 'code' is missing"):
        await review.get({}, context)


async def test_a_prompt_may_use_the_surroundings_of_the_call(context: CallContext) -> None:
    @prompt
    async def who(context: CallContext) -> str:
        """Who."""
        return context.caller.subject

    assert said(await who.get({}, context)) == [("user", "anonymous")]


async def test_text_and_bytes_become_contents_at_the_address(context: CallContext) -> None:
    @resource("test://text", mime_type="text/plain")
    async def text() -> str:
        """Text."""
        return "hello"

    @resource("test://bytes", mime_type="image/png")
    async def data() -> bytes:
        """Bytes."""
        return b"\x89PNG"

    assert (await text.read("test://text", context)).contents == [
        ResourceContents(uri="test://text", mime_type="text/plain", text="hello")
    ]
    assert (await data.read("test://bytes", context)).contents == [
        ResourceContents(uri="test://bytes", mime_type="image/png", blob=base64.b64encode(b"\x89PNG").decode())
    ]


async def test_a_resource_may_make_its_whole_result(context: CallContext) -> None:
    made = ResourceResult(contents=[ResourceContents(uri="test://other", text="")], ttl_ms=5)

    @resource("test://whole")
    async def whole(context: CallContext) -> ResourceResult:
        """Whole."""
        assert context.caller.subject == "anonymous"
        return made

    assert await whole.read("test://whole", context) is made


def test_a_resource_with_parameters_is_refused() -> None:
    with pytest.raises(TypeError, match="it has one address"):

        @resource("test://one")
        async def one(name: str) -> str:
            """One."""
            return name


@pytest.mark.parametrize(
    ("template", "uri", "parts"),
    [
        ("test://{id}", "test://7", {"id": "7"}),
        ("test://{id}", "test://a%20b", {"id": "a b"}),
        ("test://{id}", "test://a/b", None),
        ("test://{id}", "test://", None),
        ("test://{+id}", "test://a/b", {"id": "a/b"}),
        ("test://x.y/{id}", "test://x-y/1", None),
    ],
)
async def test_a_template_takes_its_parts_from_the_address(
    context: CallContext, template: str, uri: str, parts: dict[str, str] | None
) -> None:
    @resource_template(template)
    async def found(id: str) -> str:  # noqa: A002
        """Found."""
        return id

    assert found.matches(uri) is (parts is not None)
    if parts is not None:
        (contents,) = (await found.read(uri, context)).contents
        assert (contents.uri, contents.text) == (uri, parts["id"])


async def test_a_part_that_does_not_fit_is_refused(context: CallContext) -> None:
    @resource_template("test://{id}")
    async def found(id: Annotated[str, Meta(max_length=2)]) -> str:  # noqa: A002
        """Found."""
        return id

    with pytest.raises(InvalidArguments, match="Argument 'id' is \"abc\""):
        await found.read("test://abc", context)


def test_a_template_whose_parts_are_not_the_parameters_is_refused() -> None:
    with pytest.raises(TypeError, match=r"its parts are \['id'\], the parameters of .* are \['name'\]"):

        @resource_template("test://{id}")
        async def found(name: str) -> str:
            """Found."""
            return name


async def test_a_completer_belongs_to_one_argument() -> None:
    @prompt
    async def travel(city: str) -> str:
        """Travel."""
        return city

    @travel.completes("city")
    async def cities(value: str, others: Mapping[str, str]) -> list[str]:
        return [value]

    assert travel.completers == {"city": cities}

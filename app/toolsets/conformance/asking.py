"""Tools that ask the client while they run: for a person's answer, or for its model's."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.toolsets import CallContext, Elicited, tool

_STRING = {"type": "string"}


def asked(role: str, text: str) -> list[dict[str, Any]]:
    """One message for the client's model."""
    return [{"role": role, "content": {"type": "text", "text": text}}]


@tool
async def test_sampling(
    prompt: Annotated[str, Meta(description="The prompt to send to the LLM")], context: CallContext
) -> str:
    """Asks the client's model."""
    answer = await context.sample(asked("user", prompt), 100)
    return f"LLM response: {answer['content'].get('text', answer['content'])}"


@tool
async def test_elicitation(
    message: Annotated[str, Meta(description="The message to show the user")], context: CallContext
) -> str:
    """Asks a person for a name and an address."""
    answer = await context.elicit(
        message,
        {
            "type": "object",
            "properties": {
                "username": _STRING | {"description": "User's response"},
                "email": _STRING | {"description": "User's email address"},
            },
            "required": ["username", "email"],
        },
    )
    return f"User response: {_said(answer)}"


@tool
async def test_elicitation_sep1034_defaults(context: CallContext) -> str:
    """Asks with a default for each kind of field."""
    answer = await context.elicit(
        "Please check these details",
        {
            "type": "object",
            "properties": {
                "name": _STRING | {"default": "John Doe"},
                "age": {"type": "integer", "default": 30},
                "score": {"type": "number", "default": 95.5},
                "status": _STRING | {"enum": ["active", "inactive", "pending"], "default": "active"},
                "verified": {"type": "boolean", "default": True},
            },
        },
    )
    return f"Elicitation completed: {_said(answer)}"


@tool
async def test_elicitation_sep1330_enums(context: CallContext) -> str:
    """Asks with each kind of enumeration."""
    plain = ["option1", "option2", "option3"]
    answer = await context.elicit(
        "Please choose",
        {
            "type": "object",
            "properties": {
                "untitledSingle": _STRING | {"enum": plain},
                "titledSingle": _STRING | {"oneOf": _titled("First Option", "Second Option", "Third Option")},
                "legacyEnum": _STRING
                | {"enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]},
                "untitledMulti": {"type": "array", "items": _STRING | {"enum": plain}},
                "titledMulti": {
                    "type": "array",
                    "items": {"anyOf": _titled("First Choice", "Second Choice", "Third Choice")},
                },
            },
        },
    )
    return f"Elicitation completed: {_said(answer)}"


@tool
async def test_missing_capability(context: CallContext) -> str:
    """Cannot do without the client's model."""
    await context.sample(asked("user", "Say anything."), 10)
    return "The client's model answered."


@tool
async def test_streaming_elicitation(context: CallContext) -> str:
    """Reports progress, then asks a person."""
    await context.progress(1, 2)
    answer = await context.elicit("Go on?", {"type": "object", "properties": {"yes": {"type": "boolean"}}})
    return f"The answer: {_said(answer)}"


def _titled(*titles: str) -> list[dict[str, str]]:
    return [{"const": f"value{number}", "title": title} for number, title in enumerate(titles, 1)]


def _said(answer: Elicited) -> str:
    return f"action={answer.action}, content={msgspec.json.encode(answer.content).decode()}"

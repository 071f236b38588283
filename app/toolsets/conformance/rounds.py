"""Tools whose calls take several rounds: the client is asked, and sends the call again with what it was asked for."""

from __future__ import annotations

from typing import Any

from app.toolsets import CallContext, InputRequest, tool
from app.toolsets.conformance.asking import asked


def form(message: str, field: str, kind: str = "string") -> InputRequest:
    """A question for a person, with one field to fill in."""
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return InputRequest("elicitation/create", {"message": message, "mode": "form", "requestedSchema": schema})


def sampling(text: str, max_tokens: int) -> InputRequest:
    """A question for the client's model."""
    return InputRequest("sampling/createMessage", {"messages": asked("user", text), "maxTokens": max_tokens})


ROOTS = InputRequest("roots/list", {})


@tool
async def test_input_required_result_elicitation(context: CallContext) -> str:
    """Asks for a name."""
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    answer = await context.elicit("What is your name?", schema, key="user_name")
    return f"Hello, {answer.content.get('name', 'whoever you are')}!"


@tool
async def test_input_required_result_sampling(context: CallContext) -> str:
    """Asks the client's model for a capital."""
    answer = await context.sample(asked("user", "What is the capital of France?"), 100, key="capital_question")
    return f"The model says: {answer['content']['text']}"


@tool
async def test_input_required_result_list_roots(context: CallContext) -> str:
    """Asks for the client's roots."""
    roots = await context.roots(key="client_roots")
    return f"Roots: {', '.join(root['uri'] for root in roots) or 'none'}"


@tool
async def test_input_required_result_request_state(context: CallContext) -> str:
    """Carries state from one round to the next."""
    asked_before = context.state == "asked"
    context.state = "asked"
    await context.ask({"confirm": form("Please confirm", "ok", "boolean")})
    return "state-ok" if asked_before else "the state was lost"


@tool
async def test_input_required_result_tampered_state(context: CallContext) -> str:
    """Carries state that nobody may change on the way."""
    context.state = "asked"
    await context.ask({"confirm": form("Please confirm", "ok", "boolean")})
    return "The state came back as it was sent."


@tool
async def test_input_required_result_multiple_inputs(context: CallContext) -> str:
    """Asks a person, a model and for roots at once."""
    context.state = "asked"
    answers = await context.ask(
        {
            "user_name": form("What is your name?", "name"),
            "greeting": sampling("Generate a greeting", 50),
            "client_roots": ROOTS,
        }
    )
    return f"Got {len(answers)} answers."


@tool
async def test_input_required_result_multi_round(context: CallContext) -> str:
    """Asks two questions, one after the other."""
    context.state = 1
    name = await context.ask({"step1": form("Step 1: What is your name?", "name")})
    context.state = 2
    color = await context.ask({"step2": form("Step 2: What is your favorite color?", "color")})
    return f"{_field(name['step1'], 'name')} likes {_field(color['step2'], 'color')}."


@tool
async def test_input_required_result_capabilities(context: CallContext) -> str:
    """Asks only for what the client said it can give."""
    possible = {
        "user_name": form("What is your name?", "name"),
        "greeting": sampling("Generate a greeting", 50),
        "client_roots": ROOTS,
    }
    wanted = {key: request for key, request in possible.items() if context.can(request.method)}
    answers = await context.ask(wanted)
    return f"Got {len(answers)} answers."


def _field(answer: dict[str, Any], name: str) -> Any:
    return answer.get("content", {}).get(name)

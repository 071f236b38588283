"""A call without a transport: what handlers get, with a channel that remembers what was sent."""

import asyncio
from typing import Any

import msgspec
import pytest

from app.protocol.calls import ANONYMOUS, Call
from app.protocol.context import CallContext
from app.protocol.params import Meta
from app.protocol.revisions import NEWEST, Revision
from app.toolsets import load


class RecordingChannel:
    def __init__(self, answers: dict[str, Any]) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.answers = answers
        self.notified = asyncio.Event()

    async def notify(self, method: str, params: object) -> None:
        self.sent.append((method, params))
        self.notified.set()

    async def request(self, method: str, params: object, *, timeout: float | None = None) -> msgspec.Raw:
        self.sent.append((method, params))
        return msgspec.Raw(msgspec.json.encode(self.answers[method]))


@pytest.fixture
def context_of():
    """Makes contexts: `context_of(revision=…, answers={method: result})`; its `call.channel.sent` is what was sent."""

    def make(revision: Revision = NEWEST, answers: dict[str, Any] | None = None, **meta: Any) -> CallContext:
        channel = RecordingChannel(answers or {})
        call = Call("1", "tools/call", None, revision, None, ANONYMOUS, channel)
        return CallContext(call, Meta(**meta))

    return make


@pytest.fixture
def context(context_of) -> CallContext:
    """A context that nothing special is true of."""
    return context_of()


@pytest.fixture
def caller(context: CallContext):
    """Loads a toolset with what it is given: the `call(tool, **arguments)` that this makes decodes the answer."""

    def make(toolset: str, *given: object):
        registry = load([toolset], given=given)

        async def call(tool: str, **arguments: object):
            found = registry.tool(tool)
            assert found is not None
            result = await found.call(msgspec.Raw(msgspec.json.encode(arguments)), context)
            return msgspec.json.decode(result.structured_content)

        return call

    return make

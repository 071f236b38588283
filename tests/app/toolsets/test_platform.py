"""The platform toolset."""

import asyncio
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from app.protocol.handlers import InvalidArguments
from app.toolsets import About, CallContext, load


@pytest.fixture
def registry():
    return load(["platform"], about=About(transports=("http", "sse"), stores={"sessions": "memory"}))


def structured(result: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(result))["structuredContent"]


async def test_server_info_tells_what_runs(registry, context: CallContext) -> None:
    info = structured(await registry.tool("server_info").call(None, context))
    assert info["name"] == "slipway"
    assert info["transports"] == ["http", "sse"]
    assert info["stores"] == {"sessions": "memory"}
    assert info["tools"] == 3
    assert info["uptimeSeconds"] >= 0
    assert info["version"].count(".") == 2


async def test_echo_returns_the_text_unchanged(registry, context: CallContext) -> None:
    result = await registry.tool("echo").call(Raw(b'{"text": "\\u00e9\\n"}'), context)
    assert result.content[0].text == "\u00e9\n"


async def test_waiting_reports_progress_from_nothing_to_all(registry, context_of) -> None:
    context = context_of(progress_token="p")
    assert structured(await registry.tool("wait").call(Raw(b'{"seconds": 0.02}'), context))["seconds"] >= 0.02
    reported = [params["progress"] for method, params in context.call.channel.sent]
    assert reported[0] == 0
    assert reported[-1] == 0.02
    assert {params["total"] for _, params in context.call.channel.sent} == {0.02}


async def test_waiting_stops_at_once_when_cancelled(registry, context_of) -> None:
    context = context_of(progress_token="p")
    waiting = asyncio.create_task(registry.tool("wait").call(Raw(b'{"seconds": 60}'), context))
    await context.call.channel.notified.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 1)


@pytest.mark.parametrize("seconds", [b"61", b"-1", b'"5"'])
async def test_waiting_too_long_or_less_than_nothing_is_refused(registry, context: CallContext, seconds: bytes) -> None:
    with pytest.raises(InvalidArguments, match="Argument 'seconds'"):
        await registry.tool("wait").call(Raw(b'{"seconds": ' + seconds + b"}"), context)

"""Log lines: one JSON object each, with the trace of the call they belong to."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from app.protocol.calls import ANONYMOUS, Call, TraceContext
from app.protocol.content import Implementation
from app.protocol.revisions import NEWEST
from app.telemetry.logs import configure_logs
from app.telemetry.metrics import Metrics
from app.telemetry.observed import ObservedDispatcher
from app.telemetry.tracing import current_call, current_trace
from app.toolsets import CallContext, ToolsetRegistry, prompt, tool

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
logger = logging.getLogger("slipway.test")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("slipway")
    handlers, level, our_level = root.handlers[:], root.level, ours.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(our_level)


def call(method: str = "tools/call", params: object = None, trace: TraceContext | None = None) -> Call:
    raw = None if params is None else msgspec.Raw(msgspec.json.encode(params))
    meta = {"io.modelcontextprotocol/protocolVersion": NEWEST.name, "io.modelcontextprotocol/clientCapabilities": {}}
    if isinstance(params, dict):
        raw = msgspec.Raw(msgspec.json.encode({**params, "_meta": meta}))
    return Call(1, method, raw, NEWEST, None, ANONYMOUS, _NoChannel(), trace)


class _NoChannel:
    async def notify(self, method: str, params: object) -> None:
        raise AssertionError

    async def request(self, method: str, params: object, *, timeout: float | None = None) -> msgspec.Raw:
        raise AssertionError


def logged(form: str = "json", level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    configure_logs(level=level, form=form, stream=stream)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object_with_its_facts() -> None:
    stream = logged()
    logger.info("it\nhappened", extra={"fields": {"count": 3, "path": object}})
    (line,) = lines(stream)
    assert line.pop("time").endswith("+00:00")
    expected = {"level": "info", "logger": "slipway.test", "event": "it\nhappened", "count": 3, "path": str(object)}
    assert line == expected


def test_an_exception_is_in_the_line() -> None:
    stream = logged()
    try:
        raise ValueError("broken")
    except ValueError:
        logger.exception("failed")
    (line,) = lines(stream)
    assert "ValueError: broken" in line["exception"]


def test_a_line_has_the_trace_that_the_client_sent() -> None:
    stream = logged()
    token = current_call.set(call(trace=TraceContext(PARENT)))
    logger.info("inside")
    current_call.reset(token)
    logger.info("outside")
    inside, outside = lines(stream)
    assert (inside["trace_id"], inside["span_id"]) == ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
    assert "trace_id" not in outside


@pytest.mark.parametrize(
    "sent",
    [
        None,
        TraceContext("nonsense"),
        TraceContext(f"ff{PARENT[2:]}"),
        TraceContext("00-" + "0" * 32 + PARENT[35:]),
        TraceContext(PARENT.upper()),
        TraceContext(PARENT + "\nevil"),
    ],
)
def test_without_a_well_formed_trace_one_is_made_and_kept_for_the_call(sent: TraceContext | None) -> None:
    stream = logged()
    token = current_call.set(call(trace=sent))
    logger.info("one")
    logger.info("two")
    made = current_trace()
    current_call.reset(token)
    one, two = lines(stream)
    assert made is not None
    assert one["trace_id"] == two["trace_id"] == made.traceparent.split("-")[1]
    assert len(one["trace_id"]) == 32


def test_text_is_one_line_whatever_a_client_put_into_it() -> None:
    stream = logged("text")
    logger.warning("a\nb", extra={"fields": {"name": "x\r\ny"}})
    assert len(stream.getvalue().splitlines()) == 1
    assert "a\\nb name=x\\r\\ny" in stream.getvalue()


def test_the_level_is_kept() -> None:
    stream = logged(level="warning")
    logger.info("quiet")
    logger.warning("heard")
    assert [line["event"] for line in lines(stream)] == ["heard"]


async def test_a_request_that_hangs_is_answered_at_the_limit() -> None:
    @prompt
    async def endless() -> str:
        await asyncio.Event().wait()
        return ""

    registry = ToolsetRegistry()
    registry.add(endless)
    server, metrics = Implementation(name="t", version="1"), Metrics(version="1")
    dispatcher = ObservedDispatcher(registry, server, metrics=metrics, log_calls=False, time_limit=0.1)
    answer = json.loads(await dispatcher.answer(call("prompts/get", {"name": "endless"})))
    assert answer["error"]["message"] == "'prompts/get' did not finish within 0.1 s: try again later."
    assert 'mcp_requests_total{method="prompts/get",status="error"} 1.0' in metrics.render().decode()
    assert "slipway_calls_running 0.0" in metrics.render().decode()
    await dispatcher.close()


async def test_each_answer_is_counted_and_logged_with_its_trace_and_without_its_arguments() -> None:
    seen: list[Call | None] = []

    @tool
    async def peek(context: CallContext, secret: str) -> str:
        seen.append(current_call.get())
        return "done"

    registry = ToolsetRegistry()
    registry.add(peek)
    metrics = Metrics(version="1")
    dispatcher = ObservedDispatcher(registry, Implementation(name="t", version="1"), metrics=metrics, log_calls=True)
    stream = logged()
    asked = call(params={"name": "peek", "arguments": {"secret": "hunter2"}}, trace=TraceContext(PARENT))
    answer = json.loads(await dispatcher.answer(asked))
    assert answer["result"]["content"][0]["text"] == "done"
    await dispatcher.answer(call("no/such"))
    first, second = lines(stream)
    assert seen == [asked]
    assert current_call.get() is None
    assert (first["method"], first["code"], first["trace_id"]) == ("tools/call", 0, PARENT.split("-")[1])
    assert (second["method"], second["code"]) == ("no/such", -32601)
    assert "hunter2" not in stream.getvalue()
    rendered = metrics.render().decode()
    assert 'mcp_requests_total{method="tools/call",status="ok"} 1.0' in rendered
    assert 'mcp_requests_total{method="other",status="error"} 1.0' in rendered
    assert "slipway_calls_running 0.0" in rendered
    await dispatcher.close()

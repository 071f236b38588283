"""Spans: what reaches a collector that really listens."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.protocol.calls import ANONYMOUS, Call, TraceContext
from app.protocol.content import Implementation
from app.protocol.revisions import NEWEST
from app.telemetry.metrics import Metrics
from app.telemetry.observed import ObservedDispatcher
from app.telemetry.spans import Spans
from app.toolsets import CallContext, ToolsetRegistry, tool

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
META = {"io.modelcontextprotocol/protocolVersion": NEWEST.name, "io.modelcontextprotocol/clientCapabilities": {}}
INITIALIZE = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}


class Collector(ThreadingHTTPServer):
    """Takes what an OTLP exporter posts, and keeps the spans."""

    def __init__(self) -> None:
        self.spans: list = []
        self.services: set[str] = set()
        self.paths: set[str] = set()
        super().__init__(("127.0.0.1", 0), _Take)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Take(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        request = ExportTraceServiceRequest.FromString(body)
        for group in request.resource_spans:
            self.server.services.update(
                each.value.string_value for each in group.resource.attributes if each.key == "service.name"
            )
            for scope in group.scope_spans:
                self.server.spans.extend(scope.spans)
        self.server.paths.add(self.path)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def collector() -> Iterator[Collector]:
    server = Collector()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@tool
async def passed_on(context: CallContext) -> str:
    """The trace that a tool would hand to what it calls."""
    assert context.trace is not None
    return context.trace.traceparent


@tool
async def failing() -> str:
    """Fail."""
    raise RuntimeError


def dispatcher(spans: Spans) -> ObservedDispatcher:
    registry = ToolsetRegistry()
    registry.add(passed_on, failing)
    return ObservedDispatcher(
        registry, Implementation(name="t", version="1"), metrics=Metrics(version="1"), log_calls=False, spans=spans
    )


def call(method: str, params: dict, trace: TraceContext | None = None) -> Call:
    raw = msgspec.Raw(msgspec.json.encode({**params, "_meta": META}))
    return Call(7, method, raw, NEWEST, None, ANONYMOUS, None, trace)


async def test_a_call_is_a_child_of_the_clients_span_and_a_parent_of_what_it_calls(collector) -> None:
    spans = Spans.to(collector.url, service="war", version="1")
    answer = await dispatcher(spans).answer(
        call("tools/call", {"name": "passed_on", "arguments": {}}, TraceContext(PARENT, "vendor=1"))
    )
    handed = json.loads(answer)["result"]["content"][0]["text"]
    await spans.close()
    (span,) = collector.spans
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (PARENT.split("-")[1], PARENT.split("-")[2])
    assert handed == f"00-{span.trace_id.hex()}-{span.span_id.hex()}-01"
    assert span.name == "tools/call passed_on"
    said = {each.key: each.value.string_value for each in span.attributes}
    assert said["mcp.method.name"] == "tools/call"
    assert said["gen_ai.tool.name"] == "passed_on"
    assert said["mcp.protocol.version"] == NEWEST.name
    assert (collector.services, collector.paths) == ({"war"}, {"/v1/traces"})


async def test_an_error_is_told_by_its_code(collector) -> None:
    spans = Spans.to(f"{collector.url}/v1/traces", service="war", version="1")
    await dispatcher(spans).answer(call("tools/nonsense", {}))
    await spans.close()
    (span,) = collector.spans
    assert span.status.code == span.status.STATUS_CODE_ERROR
    assert {each.key: each.value.string_value for each in span.attributes}["error.type"] == "-32601"


async def test_a_tool_that_fails_is_told_as_that(collector) -> None:
    spans = Spans.to(collector.url, service="war", version="1")
    await dispatcher(spans).answer(call("tools/call", {"name": "failing", "arguments": {}}))
    await spans.close()
    (span,) = collector.spans
    assert span.status.code == span.status.STATUS_CODE_ERROR
    assert {each.key: each.value.string_value for each in span.attributes}["error.type"] == "tool_error"


async def test_a_trace_that_the_client_does_not_want_recorded_is_not(collector) -> None:
    spans = Spans.to(collector.url, service="war", version="1")
    unsampled = TraceContext(PARENT[:-2] + "00")
    answer = await dispatcher(spans).answer(call("tools/call", {"name": "passed_on", "arguments": {}}, unsampled))
    assert json.loads(answer)["result"]["content"][0]["text"].endswith("-00")
    await spans.close()
    assert collector.spans == []


@pytest.mark.parametrize("parent", ["", "nonsense", "00-" + "0" * 32 + "-00f067aa0ba902b7-01"])
async def test_a_malformed_parent_begins_a_trace_of_its_own(collector, parent) -> None:
    spans = Spans.to(collector.url, service="war", version="1")
    await dispatcher(spans).answer(call("tools/list", {}, TraceContext(parent)))
    await spans.close()
    (span,) = collector.spans
    assert span.parent_span_id == b""


async def test_calls_are_answered_while_there_is_no_collector() -> None:
    spans = Spans.to("http://127.0.0.1:9", service="war", version="1")
    async with asyncio.timeout(5):
        answer = await dispatcher(spans).answer(call("tools/call", {"name": "passed_on", "arguments": {}}))
    assert "result" in json.loads(answer)


def test_the_program_sends_spans_where_the_environment_says(collector) -> None:
    requests = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": INITIALIZE},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "echo", "arguments": {"text": "hi"}}},
    ]
    subprocess.run(
        [sys.executable, "-m", "app.cli", "serve"],
        input="".join(json.dumps(request) + "\n" for request in requests).encode(),
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "MCP_TRANSPORT": "stdio"},
        timeout=30,
        check=True,
        capture_output=True,
    )
    assert sorted(span.name for span in collector.spans) == ["initialize", "tools/call echo"]

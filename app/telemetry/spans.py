"""Spans of OpenTelemetry, one a call, sent where `OTEL_EXPORTER_OTLP_ENDPOINT` says. Imported only where that is set.

What the SDK reads of the environment by itself (`OTEL_TRACES_SAMPLER`, `OTEL_RESOURCE_ATTRIBUTES`,
`OTEL_EXPORTER_OTLP_HEADERS` …) holds as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec
from msgspec import UNSET
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.protocol.calls import Call, TraceContext

_CARRIER = TraceContextTextMapPropagator()
_EXPORT_SECONDS = 5
# The SDK's own paths differ by signal; the variable names the collector, as it does for every other program.
_PATH = "/v1/traces"


class _Target(msgspec.Struct):
    name: str = ""


_decode_target = msgspec.json.Decoder(_Target).decode


class Spans:
    """Begins and ends the span of each call; what the call calls in turn carries it on."""

    def __init__(self, exporter: SpanExporter, *, service: str, version: str) -> None:
        resource = Resource.create({SERVICE_NAME: service, SERVICE_VERSION: version})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("slipway", version)

    @classmethod
    def to(cls, endpoint: str, *, service: str, version: str) -> Spans:
        """Send them to a collector by OTLP over HTTP; one that is away loses spans, and no calls."""
        url = endpoint.rstrip("/")
        exporter = OTLPSpanExporter(
            endpoint=url if url.endswith(_PATH) else url + _PATH,
            timeout=_EXPORT_SECONDS,
        )
        return cls(exporter, service=service, version=version)

    def begin(self, call: Call) -> Span:
        """The span of a call, a child of the client's if it told one; the call's trace is this span's from now on."""
        target = _target_of(call)
        span = self._tracer.start_span(
            f"{call.method[:128]} {target}" if target else call.method[:128],
            context=_CARRIER.extract(_carried(call.trace)),
            kind=SpanKind.SERVER,
            attributes=_attributes(call, target),
        )
        context = span.get_span_context()
        state = call.trace.tracestate if call.trace is not None else ""
        baggage = call.trace.baggage if call.trace is not None else ""
        parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
        call.trace = TraceContext(parent, state, baggage)
        return span

    def end(self, span: Span, call: Call) -> None:
        """End it, with what became of the call."""
        if call.failed:
            span.set_attribute("error.type", str(call.failed))
            span.set_attribute("rpc.response.status_code", str(call.failed))
            span.set_status(Status(StatusCode.ERROR))
        elif call.tool_failed:
            span.set_attribute("error.type", "tool_error")
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    async def close(self) -> None:
        """Send what is left, as far as the collector takes it in time."""
        await asyncio.to_thread(self._provider.force_flush, _EXPORT_SECONDS * 1000)
        await asyncio.to_thread(self._provider.shutdown)


def _carried(trace: TraceContext | None) -> Mapping[str, str]:
    if trace is None:
        return {}
    return {"traceparent": trace.traceparent, "tracestate": trace.tracestate}


def _target_of(call: Call) -> str:
    """The tool or prompt that is called; a resource's address may hold anything, so it names no span."""
    if call.method not in ("tools/call", "prompts/get") or call.params is None or call.params is UNSET:
        return ""
    try:
        return _decode_target(call.params).name[:128]
    except (msgspec.DecodeError, ValueError, RecursionError):
        return ""


def _attributes(call: Call, target: str) -> dict[str, str]:
    attributes = {
        "rpc.system": "jsonrpc",
        "mcp.method.name": call.method[:128],
        "mcp.protocol.version": call.revision.name,
        "jsonrpc.request.id": str(call.id)[:128],
    }
    if target:
        attributes["gen_ai.tool.name" if call.method == "tools/call" else "gen_ai.prompt.name"] = target
    return attributes

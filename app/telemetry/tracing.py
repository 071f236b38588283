"""W3C trace context in log lines: what the client sent, or a made-up one where none came."""

from __future__ import annotations

import re
import secrets
from contextvars import ContextVar

from app.protocol.calls import Call, TraceContext

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")

current_call: ContextVar[Call | None] = ContextVar("current_call", default=None)
"""What is being answered: log lines carry its trace."""


def new_trace() -> TraceContext:
    """A trace context that begins here."""
    return TraceContext(f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00")


def current_trace() -> TraceContext | None:
    """The trace of the running call, made up when the client sent none; None outside calls."""
    call = current_call.get()
    if call is None:
        return None
    if call.trace is None or not _TRACEPARENT.fullmatch(call.trace.traceparent):
        call.trace = new_trace()
    return call.trace


def trace_ids(trace: TraceContext) -> tuple[str, str]:
    """The trace id and the parent span id of a well-formed trace context."""
    parts = trace.traceparent.split("-")
    return parts[1], parts[2]

"""W3C trace context: read from headers, told in logs, and a made-up correlation id where none came."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from contextvars import ContextVar

from app.protocol.calls import Call, TraceContext

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_LONGEST = 512  # of tracestate, as the recommendation asks to carry at least

current_call: ContextVar[Call | None] = ContextVar("current_call", default=None)
"""What is being answered: log lines carry its trace."""


def trace_from_headers(headers: Iterable[tuple[bytes, bytes]]) -> TraceContext | None:
    """The trace context of a request's headers, or None when there is none or it is malformed."""
    parent = state = baggage = ""
    for name, value in headers:
        if name == b"traceparent":
            parent = value.decode("latin-1").strip().lower()
        elif name == b"tracestate":
            state = value.decode("latin-1").strip()
        elif name == b"baggage":
            baggage = value.decode("latin-1").strip()
    if not _TRACEPARENT.fullmatch(parent):
        return None
    return TraceContext(parent, state[:_LONGEST], baggage[:_LONGEST])


def new_trace() -> TraceContext:
    """A trace context that begins here."""
    return TraceContext(f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00")


def current_trace() -> TraceContext | None:
    """The trace of the running call, made up when the client sent none; None outside calls."""
    call = current_call.get()
    if call is None:
        return None
    if call.trace is None:
        call.trace = new_trace()
    return call.trace


def trace_ids(trace: TraceContext) -> tuple[str, str]:
    """The trace id and the parent span id; both empty when `traceparent` is malformed."""
    if not _TRACEPARENT.fullmatch(trace.traceparent):
        return "", ""
    parts = trace.traceparent.split("-")
    return parts[1], parts[2]

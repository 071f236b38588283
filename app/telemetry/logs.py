"""Log lines: one JSON object a line on stderr, with the correlation id of the call they belong to.

Use `logging.getLogger("slipway.…")` and pass facts as `extra={"fields": {…}}`. stdout stays the protocol's own.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO, Any, cast

import msgspec

from app.telemetry.tracing import current_trace, trace_ids

_LONGEST = 4_000  # characters of one text in a line


def configure_logs(*, level: str, form: str, stream: IO[str] | None = None) -> None:
    """Send every log line of the process to `stream` (stderr) as JSON or text."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger("slipway").setLevel(level.upper())
    # Both tell of each connection with its whole address, where a session's id may stand.
    for name in ("uvicorn.error", "slipway.websocket"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True


class JsonFormatter(logging.Formatter):
    """One JSON object a line; a value that JSON does not know is written as text."""

    def __init__(self) -> None:
        super().__init__()
        self._encoder = msgspec.json.Encoder(enc_hook=str)

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage()[:_LONGEST],
        }
        line.update(_correlation())
        line.update(_fields(record))
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = "".join(traceback.format_exception(record.exc_info[1]))[-_LONGEST:]
        return self._encoder.encode(line).decode()


class TextFormatter(logging.Formatter):
    """One line for a person to read."""

    def format(self, record: logging.LogRecord) -> str:
        when = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        facts = "".join(f" {name}={value}" for name, value in {**_correlation(), **_fields(record)}.items())
        text = f"{when} {record.levelname.lower():<7} {_one_line(record.getMessage())}{_one_line(facts)}"
        if record.exc_info and record.exc_info[1] is not None:
            text += "\n" + "".join(traceback.format_exception(record.exc_info[1])).rstrip()
        return text


def _correlation() -> dict[str, str]:
    trace = current_trace()
    if trace is None:
        return {}
    trace_id, span_id = trace_ids(trace)
    return {"trace_id": trace_id, "span_id": span_id}


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields: Any = getattr(record, "fields", None)
    if not isinstance(fields, Mapping):
        return {}
    given = cast("Mapping[str, object]", fields)
    return {name: value[:_LONGEST] if isinstance(value, str) else value for name, value in given.items()}


def _one_line(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")[:_LONGEST]

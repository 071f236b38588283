"""Server-sent events, taken out of the bytes of a stream as they come."""

from __future__ import annotations

from typing import NamedTuple

_BOM = b"\xef\xbb\xbf"


class EventTooLarge(Exception):
    """One event has more bytes than are taken."""


class Event(NamedTuple):
    """One event; `id` is the last that the stream gave."""

    name: bytes
    data: bytes
    id: bytes | None


class EventParser:
    """Feed it the stream; `retry` is what the server last said to wait before a reconnection, in seconds."""

    __slots__ = ("_data", "_first", "_max", "_name", "_rest", "_size", "_skip_line_feed", "id", "retry")

    def __init__(self, max_bytes: int) -> None:
        self.id: bytes | None = None
        self.retry: float | None = None
        self._max = max_bytes
        self._name = b"message"
        self._data: list[bytes] = []
        self._rest: list[bytes] = []
        self._size = 0
        self._skip_line_feed = False
        self._first = True

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that are complete now; raises `EventTooLarge`."""
        if self._skip_line_feed and chunk:
            self._skip_line_feed = False
            chunk = chunk.removeprefix(b"\n")
        self._size += len(chunk)
        if self._size > self._max:
            raise EventTooLarge(f"more than {self._max} bytes in one event")
        if b"\n" not in chunk and b"\r" not in chunk:
            self._rest.append(chunk)
            return []
        if self._rest:
            self._rest.append(chunk)
            chunk = b"".join(self._rest)
            self._rest.clear()
        if self._first:
            self._first = False
            chunk = chunk.removeprefix(_BOM)
        lines = chunk.splitlines()
        last = chunk[-1:]
        if last == b"\r":
            self._skip_line_feed = True
        elif last != b"\n":
            self._rest.append(lines.pop())
        events: list[Event] = []
        for line in lines:
            if line:
                self._field(line)
            else:
                self._dispatch(events)
        return events

    def _field(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value
        elif field == b"id":
            if b"\0" not in value:
                self.id = value
        elif field == b"retry" and value.isdigit() and len(value) < 10:
            self.retry = int(value) / 1000

    def _dispatch(self, events: list[Event]) -> None:
        if self._data:
            data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            if data:
                events.append(Event(self._name, data, self.id))
            self._data.clear()
        self._name = b"message"
        self._size = sum(map(len, self._rest))

"""Bytes to lines, whatever pieces they come in."""

from __future__ import annotations

from collections.abc import Callable

_EDGE = 1024  # bytes kept of each end of a line that is too long

TooLong = Callable[[bytes, bytes, int], None]
"""Told of a line that is thrown away: how it begins, how it ends, its length."""


class Splitter:
    """Cuts at newlines, and drops the carriage return before one. A line beyond `longest` is never held whole."""

    def __init__(self, longest: int, too_long: TooLong) -> None:
        self._longest = longest
        self._too_long = too_long
        self._pieces: list[bytes] = []
        self._held = 0
        self._dropping = False
        self._head = self._tail = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their ends; empty ones as well."""
        if not self._held and not self._dropping and data.endswith(b"\n"):
            lines = data[:-1].split(b"\n")
        else:
            lines = self._slow(data)
        if b"\r" in data:
            lines = [line[:-1] if line.endswith(b"\r") else line for line in lines]
        if len(data) > self._longest:
            lines = [line for line in lines if self._fits(line)]
        return lines

    def rest(self) -> bytes:
        """The last line, when it has no newline; empty where there is none. Nothing can be fed after this."""
        if self._dropping:
            self._finish_dropping()
        pieces, self._pieces, self._held = self._pieces, [], 0
        return b"".join(pieces).removesuffix(b"\r")

    def _slow(self, data: bytes) -> list[bytes]:
        first, newline, others = data.partition(b"\n")
        if not newline:
            self._hold(data)
            return []
        lines: list[bytes] = []
        if self._dropping or self._held + len(first) > self._longest:
            self._hold(first)
            self._finish_dropping()
        else:
            self._pieces.append(first)
            lines.append(b"".join(self._pieces).removesuffix(b"\r"))
            self._pieces, self._held = [], 0
        lines += others.split(b"\n")
        self._hold(lines.pop())
        return lines

    def _hold(self, piece: bytes) -> None:
        if not piece:
            return
        self._held += len(piece)
        if self._dropping:
            self._tail = (self._tail + piece[-_EDGE:])[-_EDGE:]
            return
        self._pieces.append(piece)
        if self._held > self._longest:
            self._drop()

    def _drop(self) -> None:
        whole, self._pieces = b"".join(self._pieces), []
        self._head, self._tail, self._dropping = whole[:_EDGE], whole[-_EDGE:], True

    def _finish_dropping(self) -> None:
        self._too_long(self._head, self._tail, self._held)
        self._dropping, self._held, self._head, self._tail = False, 0, b"", b""

    def _fits(self, line: bytes) -> bool:
        if len(line) <= self._longest:
            return True
        self._too_long(line[:_EDGE], line[-_EDGE:], len(line))
        return False

"""What a server writes, taken in: messages are kept until they are taken, what is none is reported, a flood is slowed.

The same for a child's pipes and for a process in a container: whoever reads either feeds it here, and reads on after as
many seconds as it is told.
"""

from __future__ import annotations

import logging
from collections import deque

from app.gateway.children.oversized import refusal
from app.gateway.children.splitter import Splitter
from app.gateway.children.tail import Tail
from app.gateway.children.throttle import PER_LINE, Notices, Throttle

logger = logging.getLogger("slipway.child")

_GARBAGE_PER_SECOND = 4 << 20
_REPORTED = 50  # lines of garbage in one read
_SHOWN = 200  # characters of a line that is no message
_OPENING = (0x7B, 0x5B)  # { and [


class Output:
    """The standard output of one process."""

    def __init__(self, tail: Tail, longest: int) -> None:
        self.messages: deque[bytes] = deque()
        self.held = 0
        """Bytes of the messages that wait to be taken."""
        self.spoke = False
        """Whether there ever was a message."""
        self._tail = tail
        self._longest = longest
        self._splitter = Splitter(longest, self._too_long)
        self._notices = Notices(logger, tail.server)
        self._throttle = Throttle(_GARBAGE_PER_SECOND)

    def feed(self, data: bytes) -> float:
        """Take in what was read; returns for how many seconds nothing more should be read."""
        useless: list[bytes] = []
        for line in self._splitter.feed(data):
            if line and line[0] in _OPENING and line.isascii():  # nearly all of them
                self.messages.append(line)
                self.held += len(line)
            elif not self._take_doubtful(line):
                useless.append(line)
        if self.messages:
            self.spoke = True
        return self._skip(useless) if useless else 0.0

    def end(self) -> None:
        """There is no more: a last line without its end counts as well."""
        rest = self._splitter.rest()
        if rest and not self._take_doubtful(rest):
            self._skip([rest])
        if self.messages:
            self.spoke = True

    def take(self) -> bytes:
        """The oldest message."""
        line = self.messages.popleft()
        self.held -= len(line)
        return line

    def drop(self) -> None:
        """Nobody will take what waits."""
        self.messages.clear()
        self.held = 0

    def _take_doubtful(self, line: bytes) -> bool:
        """Take a line that looks unusual, where it may be a message all the same."""
        bare = line.strip()
        if not bare or bare[0] not in _OPENING or not _is_text(bare):
            return False
        self._keep(bare)
        return True

    def _keep(self, message: bytes) -> None:
        self.messages.append(message)
        self.held += len(message)

    def _skip(self, lines: list[bytes]) -> float:
        """Report lines that are no messages: the first of many that come at once, so that this is not what is slow."""
        for line in lines[:_REPORTED]:
            bare = line.strip()
            if bare:
                shown = bare[: 4 * _SHOWN]
                self._tail.add(shown, log=False)
                why = "it is not UTF-8" if bare[0] in _OPENING else "it is no JSON object"
                text = self._tail.mask(shown.decode(errors="replace"))[:_SHOWN]
                event = "a line on standard output is no message: skipped"
                self._notices.say(logging.WARNING, event, why=why, line=text)
        return self._throttle.spend(sum(map(len, lines)) + len(lines) * PER_LINE)

    def _too_long(self, head: bytes, end: bytes, length: int) -> None:
        self._notices.say(
            logging.ERROR, "a line on standard output is too long: thrown away", bytes=length, longest=self._longest
        )
        answer = refusal(head, end, length, self._longest)
        if answer is not None:
            self._keep(answer)


def _is_text(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True

"""How a child ended, in words."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass

from app.gateway.children.keeper import _wire as wire

_LINE = 300


@dataclass(frozen=True, slots=True)
class Ending:
    """What is known of a child that has ended."""

    status: int | None
    """As `os.waitstatus_to_exitcode` has it: negative for signals; None where nobody was there to see it."""
    why: str = ""
    """Why we ended it ourselves; empty where it ended by itself."""
    last: str = ""
    """The last line of its standard error."""

    @property
    def asked(self) -> bool:
        """It was stopped, not lost."""
        return self.why == wire.ASKED

    def loss(self) -> str:
        """Why it was lost, where nobody had meant it to end: it is let go only after its output has ended."""
        if not self.asked:
            return str(self)
        if self.status is not None and self.status < 0:
            return "it closed its standard output and lived on: ended"
        return str(Ending(self.status, "", self.last))

    def __str__(self) -> str:
        said = f": {self.last[:_LINE]}" if self.last else ""
        if self.why == wire.ASKED:
            return "stopped"
        if self.why:
            return self.why + said
        if self.status is None:
            return "lost: the process that watched it was killed"
        if self.status == -signal.SIGKILL:
            return f"killed by signal 9 (out of memory?){said}"
        if self.status < 0:
            return f"killed by signal {-self.status} ({_name(-self.status)}){said}"
        return f"exit status {self.status}{said}"


def exit_code(wait_status: int) -> int:
    """The one number of a wait status."""
    return os.waitstatus_to_exitcode(wait_status)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"

"""What a child process is told to be, and why one could not be started."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from app.gateway.launcher import LaunchError

LONGEST_LINE = 64 << 20
_OPEN_FILES = 4096


class TooManyChildren(LaunchError):
    """The gateway runs as many children as it may."""


class CannotRun(LaunchError):
    """The kernel does not execute the command: trying again soon would change nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One child. No part of it is ever read by a shell."""

    server: str
    """The server's id, for logs."""
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """All of it: nothing is inherited. HOME and TMPDIR are added, as the private directory."""
    directory: str | None = None
    """Where it starts; None for its private directory."""
    memory: int = 0
    """Bytes that it and its descendants may have of their own; 0 for any number."""
    look: float = 2.0
    """Seconds between looks at its memory."""
    open_files: int = _OPEN_FILES
    speaks: bool = True
    """It exchanges messages on its standard streams; otherwise what it writes there is kept with its errors."""
    longest_line: int = LONGEST_LINE
    """Bytes of one line of its output."""
    idle: float | None = None
    """Seconds without a line in either direction after which it is ended; None for never."""
    after_input: float = 2.0
    """Seconds to end by itself after the end of its input."""
    after_term: float = 3.0
    """Seconds to end after SIGTERM."""


def refused(argv: tuple[str, ...], number: int, path: str) -> str:
    """Why the kernel does not execute a command, and what to do."""
    program = argv[0]
    match number:
        case errno.ENOENT:
            where = "" if "/" in program else f" on PATH ({path})"
            return f"cannot run {program!r}: there is no such program{where}, or its interpreter is missing; install it"
        case errno.EACCES | errno.EPERM:
            return f"cannot run {program!r}: it is not executable for this user; check its mode and its directory's"
        case errno.ENOEXEC:
            return f"cannot run {program!r}: it is no program of this machine's kind; a script needs a #! line"
        case errno.E2BIG:
            return f"cannot run {program!r}: arguments and environment are too long together"
        case _:
            return f"cannot run {program!r}: {os.strerror(number)}"

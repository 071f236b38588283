"""By what a gateway knows the processes of one of its keepers, whatever becomes of their parents.

The mark is a limit on file locks. It is inherited with every fork and exec, and told of zombies too; Linux has not
acted on it since version 2.4. An environment can be dropped and a session left; this stays, unless a process with
CAP_SYS_RESOURCE raises it.
"""

from __future__ import annotations

import os
import resource

from app.gateway.children.keeper._tree import LINUX

NONE = 0
_LOCKS = 10  # RLIMIT_LOCKS, which `resource` does not name
_HIGHEST = 1 << 62


def new_mark() -> int:
    """Lower than what this process bears itself: then it may be set, and a gateway can run below another."""
    if not LINUX:
        return NONE
    own = _borne_by(0)
    above = _HIGHEST if own == resource.RLIM_INFINITY else own
    return max(NONE, above - 1 - int.from_bytes(os.urandom(4), "big"))


def bear(mark: int) -> None:
    """Be of that keeper, with all that this process will start."""
    if mark == NONE:
        return
    try:
        resource.setrlimit(_LOCKS, (mark, mark))
    except (OSError, ValueError):
        pass  # a sandbox that knows no such limit: what loses its keeper and its minder there is not found


def bears(pid: int, mark: int) -> bool:
    """Whether that process is of that keeper; a zombie may be."""
    try:
        return mark != NONE and _borne_by(pid) == mark
    except (ProcessLookupError, PermissionError):
        return False


def _borne_by(pid: int) -> int:
    return resource.prlimit(pid, _LOCKS)[1]

"""From a forked process to the child's own program: session, signals, limits, streams."""

from __future__ import annotations

import ctypes
import os
import resource

from app.gateway.children.keeper._tree import LINUX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, NoReturn


_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_SIGKILL = 9
_CHANGED_BY_PYTHON = (2, 13, 25)  # SIGINT, SIGPIPE, SIGXFSZ

_libc = ctypes.CDLL(None)


def adopt_orphans() -> None:
    """Make this process the one that its orphaned descendants come to."""
    if LINUX:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def default_signals() -> None:
    """Undo what Python does to signals when it starts; a program that it executes would inherit it."""
    for number in _CHANGED_BY_PYTHON:
        _libc.signal(number, None)


def become(
    argv: Sequence[str],
    environment: Mapping[str, str],
    directory: str,
    streams: Sequence[int],
    limits: Mapping[str, Any],
    parent: int,
    failure: int,
) -> NoReturn:
    """Be that program. What hinders it is written to `failure`, as its errno."""
    try:
        os.setsid()
        if LINUX:
            _libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
            _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)  # what it gains no rights by, we can always kill
            if os.getppid() != parent:
                os._exit(1)
            _prefer_when_memory_ends()
        default_signals()
        os.umask(0o077)
        for number, descriptor in enumerate(streams):
            os.dup2(descriptor, number)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        files = int(limits["files"])
        soft = files if hard == resource.RLIM_INFINITY else min(files, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.chdir(directory)
        os.execvpe(argv[0], list(argv), dict(environment))  # noqa: S606 - there is no shell, which is the point
    except OSError as error:
        os.write(failure, b"%d" % (error.errno or 0))
    finally:
        os._exit(127)


def _prefer_when_memory_ends() -> None:
    """The kernel ends a child rather than the gateway of them all."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("500")
    except OSError:
        pass  # raised already by whoever runs us

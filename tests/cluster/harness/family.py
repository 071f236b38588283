"""What a command started and did not end. Whose parents die are adopted by this process, and so are found here."""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Be the parent of those whose own parents die, so that the dead are gone and not only dead."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@contextlib.contextmanager
def leaving_nobody() -> Iterator[None]:
    """Whoever was started in between and still runs at the end is ended. For one who adopts orphans."""
    earlier = descendants()
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        while left := descendants() - earlier:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            _bury()
            time.sleep(0.02)


def descendants() -> set[int]:
    """Every process below this one, the dead that nobody has waited for among them."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name, in parentheses, may have any character in it.
            parent = int(entry.read_text("utf-8", errors="replace").rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.parent.name))
    found: set[int] = set()
    new = children.get(os.getpid(), [])
    while new:
        found.update(new)
        new = [child for parent in new for child in children.get(parent, [])]
    return found


def _bury() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass

"""What a command started and did not end. Whose parents die are adopted by this process, and so are found here."""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator

import psutil

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
            bury()
            time.sleep(0.02)


def descendants() -> set[int]:
    """Every process below this one, the dead that nobody has waited for among them."""
    return {process.pid for process in psutil.Process().children(recursive=True)}


def bury() -> None:
    """Wait for every child that has ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass

"""What comes to the gateway when both a minder and the keeper were killed: orphans, and zombies that nobody awaits.

Only ever waits for pids that it names. A `waitpid(-1)` would take the exit status of processes that asyncio, uvloop or
`subprocess` wait for by pid, and their callers would wait for ever or be told 255.
"""

from __future__ import annotations

import os

from app.gateway.children.keeper._mark import bears
from app.gateway.children.keeper._tree import children_of, kill_below, state_of


class Adopted:
    """What a keeper that was killed, and minders killed with it, left behind."""

    def __init__(self, mark: int) -> None:
        self._mark = mark
        self._killed: set[int] = set()

    def end(self) -> int:
        """Kill what is below us and bears its mark. Returns how many are left."""
        roots = [pid for pid in children_of(os.getpid()) if pid in self._killed or bears(pid, self._mark)]
        self._killed.update(kill_below(roots))  # they come to us when their parents are gone
        return sum(not reap(root) for root in roots)


def reap(pid: int) -> bool:
    """Wait for one process that must have ended; False while it has not."""
    try:
        found = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return state_of(pid) in ("", "Z")  # somebody else's child
    return found is not None


class Zombies:
    """Children that ended, were never ours by birth, and that nobody waits for: seen twice, they are reaped."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def look(self) -> int:
        """To be called every half a minute or so: whoever waits for a child does it sooner than that."""
        now = {pid for pid in children_of(os.getpid()) if state_of(pid) == "Z"}
        stale = now & self._seen
        self._seen = now - stale
        return sum(reap(pid) for pid in stale)

"""What comes to the gateway when both a minder and the keeper were killed: orphans, and zombies that nobody awaits.

Only ever waits for pids that it names. A `waitpid(-1)` would take the exit status of processes that asyncio, uvloop or
`subprocess` wait for by pid, and their callers would wait for ever or be told 255.
"""

from __future__ import annotations

import os
from pathlib import Path

from app.gateway.children.keeper import _wire as wire
from app.gateway.children.keeper._tree import children_of, kill_below, session_of, state_of


class Adopted:
    """What a keeper that was killed, and minders killed with it, left behind."""

    def __init__(self, mark: str, sessions: set[int]) -> None:
        self._carrier = f"{wire.MARK}={mark}".encode()
        self._sessions = sessions
        self._killed: set[int] = set()

    def end(self) -> int:
        """Kill what is below us and carries the mark, or is in a session of our children. Returns how many are left."""
        roots = [pid for pid in children_of(os.getpid()) if self._ours(pid)]
        self._killed.update(kill_below(roots))  # they come to us when their parents are gone
        return sum(not reap(root) for root in roots)

    def _ours(self, pid: int) -> bool:
        return pid in self._killed or session_of(pid) in self._sessions or _carries(pid, self._carrier)


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


def _carries(pid: int, carrier: bytes) -> bool:
    try:
        return carrier in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False

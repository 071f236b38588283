"""Which processes descend from which, as /proc has it; elsewhere than on Linux nothing is known."""

from __future__ import annotations

import os
import sys

LINUX = sys.platform == "linux"
_KILL = 9
_PAGE = os.sysconf("SC_PAGE_SIZE")


def children_of(pid: int) -> list[int]:
    """The direct children, zombies included."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", "rb") as file:
                found += map(int, file.read().split())
    except FileNotFoundError:
        if os.path.isdir(f"/proc/{pid}"):  # a kernel that does not list children
            return [child for child, parent in _parents() if parent == pid]
    except (ProcessLookupError, PermissionError, NotADirectoryError):
        pass  # it ended meanwhile
    return found


def descendants_of(pid: int) -> list[int]:
    """Children, their children and so on; parents come before their children."""
    found: list[int] = []
    ahead = children_of(pid)
    while ahead:
        found += ahead
        ahead = [child for parent in ahead for child in children_of(parent)]
    return found


def kill_below(pids: list[int]) -> list[int]:
    """SIGKILL for all of them that live, and for all below them; returns whom it was sent to.

    The youngest first: where processes keep forking, it is the youngest that forks next.
    """
    killed: list[int] = []
    ahead = pids
    found = list(pids)
    while ahead:
        ahead = [child for parent in ahead for child in children_of(parent)]
        found += ahead
    for pid in reversed(found):
        try:
            os.kill(pid, _KILL)
        except (ProcessLookupError, PermissionError):
            continue  # it ended meanwhile
        killed.append(pid)
    return killed


def state_of(pid: int) -> str:
    """One letter, as `ps` shows it: Z for a zombie, T for one that is stopped; empty where there is none."""
    fields = _stat(pid)
    return fields[0] if fields else ""


def memory_of(pids: list[int]) -> int:
    """Bytes that are theirs alone: resident, without the program files that all share."""
    pages = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/statm", "rb") as file:
                _, resident, shared, *_ = file.read().split()
        except (OSError, ValueError):
            continue  # it ended meanwhile
        pages += int(resident) - int(shared)
    return pages * _PAGE


def _stat(pid: int) -> list[str]:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2].decode().split()
    except OSError:
        return []


def _parents() -> list[tuple[int, int]]:
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [(pid, int(fields[1])) for pid in pids if (fields := _stat(pid))]

"""What must be as it was before: processes below this one, file descriptors, directories."""

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

HOSTILE = str(Path(__file__).with_name("hostile.py"))
TIED = (sys.executable, "-I", "-S", str(Path(__file__).with_name("tied.py")))
"""Before a command: it is ended with this process, however that ends."""


def descendants(pid: int | None = None) -> dict[int, str]:
    """Everything below a process, zombies too, with what it runs."""
    found: dict[int, str] = {}
    for process in psutil.Process(pid).children(recursive=True):
        try:
            found[process.pid] = process.status()
            found[process.pid] += f" {' '.join(process.cmdline())[:120]}"
        except psutil.ZombieProcess:
            continue
        except psutil.NoSuchProcess:
            found.pop(process.pid, None)
    return found


def descriptors() -> dict[int, str]:
    """What this process has open."""
    found: dict[int, str] = {}
    for link in Path("/proc/self/fd").iterdir():
        try:
            found[int(link.name)] = str(link.readlink())
        except OSError:
            continue
    return found


def alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def until(true: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for something that no event tells."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.005)


@dataclass
class Baseline:
    processes: set[int]
    descriptors: dict[int, str]
    folder: Path

    @classmethod
    def take(cls, folder: Path) -> "Baseline":
        return cls(set(descendants()), descriptors(), folder)

    def check(self) -> None:
        """Nothing may be left over."""
        left = {pid: what for pid, what in descendants().items() if pid not in self.processes}
        assert not left, f"processes left: {left}"
        opened = {
            number: what
            for number, what in descriptors().items()
            if what != self.descriptors.get(number) and what.startswith(("pipe:", "socket:", "anon_inode:[pidfd]"))
        }
        assert not opened, f"descriptors left: {opened}"
        assert not list(self.folder.iterdir()), f"directories left: {list(self.folder.iterdir())}"

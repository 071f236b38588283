"""A program of the node: started with its output in a file, waited for until it answers, stopped by its own id."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

POLL_SECONDS = 0.05


class NotReadyError(Exception):
    """Something did not come up: what, why, and the end of its log."""


def wait_until(what: str, ready: Callable[[], bool], *, seconds: float, why: Callable[[], str] = lambda: "") -> None:
    """Wait until `ready()` is true; raise NotReadyError with `why()` when it takes longer."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise NotReadyError(f"{what} was not ready within {seconds:.0f} s. {why()}")
        time.sleep(POLL_SECONDS)


class Process:
    """One child, its log and its id on disk: what a crashed run left can be ended by the next."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.log = folder / f"{name}.log"
        self._pid_file = folder / f"{name}.pid"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> None:
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        self._pid_file.write_text(f"{self._child.pid} {_started(self._child.pid)}", encoding="utf-8")

    def wait(self, ready: Callable[[], bool], *, seconds: float = 30) -> None:
        """Wait until it answers, or say why it did not."""

        def ready_or_dead() -> bool:
            if self._child is not None and self._child.poll() is not None:
                raise NotReadyError(f"{self.name} ended with {self._child.returncode}:\n{self.tail()}")
            return ready()

        wait_until(self.name, ready_or_dead, seconds=seconds, why=self.tail)

    def tail(self, lines: int = 15) -> str:
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        return ""

    def stop(self, *, seconds: float = 10) -> None:
        """End it, politely first. Also ends what an earlier run left under the same name, if it is still that one."""
        pid = self._living()
        if pid is not None:
            _end(pid, seconds, self._child)
        self._pid_file.unlink(missing_ok=True)

    def _living(self) -> int | None:
        if self._child is not None:
            return self._child.pid if self._child.poll() is None else None
        with contextlib.suppress(OSError, ValueError):
            pid, started = self._pid_file.read_text(encoding="utf-8").split()
            if _started(int(pid)) == started:
                return int(pid)
        return None


def _started(pid: int) -> str:
    """When a process began, in ticks: with its id, the one sure name of it."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    state, *fields = text.rpartition(")")[2].split()
    return "" if state == "Z" else fields[18]


def _end(pid: int, seconds: float, child: "subprocess.Popen[bytes] | None") -> None:
    began = _started(pid)

    def gone() -> bool:
        if child is not None:
            child.poll()
        return _started(pid) != began

    for number, patience in ((signal.SIGTERM, seconds), (signal.SIGKILL, seconds)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        with contextlib.suppress(NotReadyError):
            wait_until(f"the end of {pid}", gone, seconds=patience)
            return

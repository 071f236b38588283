"""A program of the node: started inside the enclosure with its output in a file, waited for, stopped by its own id."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from harness.enclosure import Enclosure
from harness.places import HERE

POLL_SECONDS = 0.05
# Of Kubernetes' programs and the engine: there is more memory than there are processors, so less is collected.
SPARING = {"GOGC": "300"}


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
    """One child and its log. It outlives the harness: what a crashed run left, the enclosure's end ends."""

    def __init__(self, name: str, enclosure: Enclosure) -> None:
        self.name = name
        self.log = enclosure.run / f"{name}.log"
        self._enclosure = enclosure
        self._child: subprocess.Popen[bytes] | None = None

    def start(self, command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> None:
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(
                self._enclosure.inside(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=plain_environment(environment or {}),
                start_new_session=True,
            )

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
        """End it, politely first."""
        if self._child is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
                self._child.send_signal(number)
                self._child.wait(seconds)
                return


def module(name: str, *arguments: str | Path) -> list[str | Path]:
    """The command that runs a module of this package as a program of the node."""
    return ["env", f"PYTHONPATH={HERE.parent}", sys.executable, "-m", name, *arguments]


def plain_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """What programs of the node see: no proxy, no kubeconfig and no secret of whoever started it."""
    path = os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
    return {"PATH": f"{path}:/usr/sbin:/sbin", "HOME": "/root", "LANG": "C.UTF-8", **SPARING, **(more or {})}

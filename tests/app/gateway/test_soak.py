"""A shortened soak in every test run; `make soak` is the whole."""

import ctypes
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

sys.path.insert(0, str(Path(__file__).parent / "support"))
from hygiene import TIED, until

PR_SET_CHILD_SUBREAPER = 36
SOAK = Path(__file__).with_name("soak.py")


def soaked(*options: str) -> dict:
    words = [*TIED, sys.executable, str(SOAK), *options]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-4000:]
    report = json.loads(done.stdout)
    assert report["left"] == 0
    return report


def test_servers_that_are_started_hurt_and_stopped_at_random_leave_nothing():
    report = soaked("--only", "starts", "--starts", "30")
    assert report["starts"] == report["stopped"] == 30
    assert report["lines"] > 0


def test_sessions_that_are_used_dropped_and_ended_while_children_are_hurt_leave_nothing():
    report = soaked("--only", "sessions", "--sessions", "30", "--seed", "7")
    assert report["sessions"] == 30
    assert report["answered"] > 0
    assert report["ended"] > 0


# What the test run does that has begun a soak, in a process of its own.
STARTER = f"""
import importlib.util
spec = importlib.util.spec_from_file_location("soaking", {str(Path(__file__))!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.soaked("--starts", "100000", "--sessions", "100000")
"""


class Run:
    """A whole soak in the midst of its work, and who began it. All that it does is below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._said = folder / "said"
        words = [sys.executable, "-c", STARTER]
        environment = {**os.environ, "TMPDIR": self._folder}
        with self._said.open("wb") as said:
            self.starter = subprocess.Popen(words, env=environment, stderr=said, start_new_session=True)
        self._seen: set[psutil.Process] = set()

    def look(self) -> dict[psutil.Process, str]:
        """Whatever of it lives, and what each runs."""
        with suppress(psutil.Error):
            self._seen.update(psutil.Process(self.starter.pid).children(recursive=True))
        self._seen.update(process for process in psutil.process_iter() if self._is_here(process))
        found = {}
        for process in self._seen:
            with suppress(psutil.Error):
                if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    found[process] = " ".join(process.cmdline())
        return found

    def of(self, text: str) -> list[psutil.Process]:
        return [process for process, words in self.look().items() if text in words]

    async def begins(self, text: str) -> bool:
        """Whether it comes to run that."""
        try:
            await until(lambda: self.of(text), 60)
        except AssertionError:
            return False
        return True

    async def left(self) -> dict[psutil.Process, str]:
        """What of it lives on for a minute."""
        with suppress(AssertionError):
            await until(lambda: not self.look(), 60)
        return self.look()

    def said(self) -> str:
        return self._said.read_text()[-2000:]

    def _is_here(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            at_work = process.cwd(), process.environ().get("TMPDIR", "")
            return process.pid != self.starter.pid and any(place.startswith(self._folder) for place in at_work)
        return False


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    # Orphans go to the machine's init, which buries them; a test before this one may have had them come here.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    made = Run(tmp_path)
    yield made
    made.starter.kill()
    made.starter.wait()
    for process in made.look():
        with suppress(psutil.Error):
            process.kill()


@pytest.mark.parametrize(
    ("who", "number"),
    [
        ("starter", signal.SIGKILL),
        ("starter", signal.SIGTERM),
        ("starter", signal.SIGINT),
        ("soak.py", signal.SIGKILL),
        ("soak.py", signal.SIGTERM),
    ],
)
async def test_nothing_is_left_of_a_soak_however_its_run_ends(run, who, number):
    for at_work in ("hostile.py", "moody.py"):
        assert await run.begins(at_work), run.said()
    ended = run.starter if who == "starter" else run.of(who)[0]
    run.look()
    ended.send_signal(number)
    assert not await run.left()

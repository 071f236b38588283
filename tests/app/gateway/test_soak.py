"""A shortened soak in every test run; `make soak` is the whole."""

import json
import subprocess
import sys
from pathlib import Path

SOAK = Path(__file__).with_name("soak.py")


def soaked(*options: str) -> dict:
    done = subprocess.run([sys.executable, str(SOAK), *options], capture_output=True, text=True, timeout=240)
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

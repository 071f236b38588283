"""A shortened soak in every test run; `make soak` is the whole."""

import json
import subprocess
import sys
from pathlib import Path

SOAK = Path(__file__).with_name("soak.py")


def test_servers_that_are_started_hurt_and_stopped_at_random_leave_nothing():
    command = [sys.executable, str(SOAK), "--only", "starts", "--starts", "60"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-4000:]
    report = json.loads(done.stdout)
    assert report["starts"] == report["stopped"] == 60
    assert report["lines"] > 0
    assert report["left"] == 0

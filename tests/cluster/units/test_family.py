"""A command on a node that stays up leaves no process, however it ends."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).parents[1]
# Leaves two: one that has left its session and lost its parent, one that is a child of that one.
STRAYS = "setsid sh -c 'sleep 1000 & echo $! $$ > strays; mkfifo held; cat held' & until [ -s strays ]; do :; done"
PROGRAM = f"""
import signal, subprocess, sys
# Where this was started in the background, it would be ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {str(HARNESS)!r})
from harness.family import adopt_orphans, leaving_nobody
adopt_orphans()
earlier = subprocess.Popen(["sleep", "1000"])
try:
    with leaving_nobody():
        subprocess.run(["sh", "-c", sys.argv[1]], check=True)
        print("started", flush=True)
        if sys.argv[2] == "waits":
            sys.stdin.read()
finally:
    assert earlier.poll() is None
    earlier.kill()
"""


@pytest.mark.parametrize(("how", "number"), [("ends", None), ("waits", signal.SIGINT)])
def test_what_a_command_leaves_running_ends_and_nothing_else_does(tmp_path, how, number):
    command = [sys.executable, "-c", PROGRAM, STRAYS, how]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "started\n"
        strays = (tmp_path / "strays").read_text().split()
        if number is not None:
            program.send_signal(number)
        program.wait(20)
    assert program.returncode == (0 if number is None else -number)
    assert len(strays) == 2
    assert not [pid for pid in strays if Path(f"/proc/{pid}").exists()]

"""`slipway bridge` as the first process of a pod."""

import os
import subprocess
import sys
from pathlib import Path

HOSTILE = str(Path(__file__).parents[1] / "support" / "hostile.py")


def give_up(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "app.cli", "bridge", "--port", "0", "--give-up", "--", *command]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MCP_", "REDIS_", "MONGODB_"))}
    return subprocess.run(words, env={**kept, **environment}, capture_output=True, text=True, timeout=120)


def test_a_bridge_whose_child_keeps_ending_ends_with_the_child_s_last_words():
    done = give_up(sys.executable, "-I", "-S", HOSTILE, "crash", "3")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "gave up: exit status 3: cannot find the flux capacitor"


def test_a_child_s_own_variables_reach_it_whatever_the_bridge_calls_so():
    tell = "import os, sys; sys.exit(os.environ['REDIS_URL'] + ' ' + str('SLIPWAY_CHILD_REDIS_URL' in os.environ))"
    done = give_up(sys.executable, "-c", tell, SLIPWAY_CHILD_REDIS_URL="unreachable://of-the-child")
    assert done.stderr.splitlines()[-1] == "gave up: exit status 1: unreachable://of-the-child False"

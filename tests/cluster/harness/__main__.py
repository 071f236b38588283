"""`python tests/cluster/harness up | down | status | run COMMAND…`: the test node, by hand or around a command."""

import argparse
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

# ruff: noqa: E402
from harness.build import BuildError, Tool, build
from harness.enclosure import leftovers, tracked
from harness.family import adopt_orphans, leaving_nobody
from harness.images import Images
from harness.node import Node
from harness.places import CACHE, KUBECONFIG
from harness.process import NotReadyError
from harness.tools import Refusal, install, refuse_unfit
from harness.traces import snapshot

PATIENCE_SECONDS = 30
# Tells the tests where to write how long their parts took.
STAGES = "SLIPWAY_TEST_STAGES"


class Terminated(KeyboardInterrupt):
    """Asked to end by SIGTERM, which nobody else was told of."""


def terminated(*_: object) -> None:
    raise Terminated


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """One at a time: the node's addresses and cgroup exist once on a machine."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "node.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refusal("another run is using the test node: wait until it has ended") from None
        yield


def prepare() -> None:
    """Make what is missing in the cache."""
    install()
    build()
    Images().make()


def up(node: Node) -> None:
    """Start a node, over whatever a run that was killed has left."""
    tidy(node)
    try:
        node.start()
    except BaseException:
        stop(node)
        raise


def tidy(node: Node) -> None:
    if leftovers():
        say("tidy up after a run that was killed")
        node.stop()


def stop(node: Node) -> None:
    """End the node; impatience does not stop the end half-way."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with node.stage("end of the node"):
        node.stop()
    if remaining := leftovers():
        raise NotReadyError("the node left behind:\n" + "\n".join(remaining))


def run(node: Node, command: list[str]) -> int:
    """Run a command with a node: one that is kept stays up, one started for it goes with it."""
    if node.kept:
        node.refresh()
        try:
            # Outside the node's cgroup, which outlives it.
            with leaving_nobody():
                return timed(node, command)
        finally:
            tell(node)
    tidy(node)
    before = snapshot()
    try:
        up(node)
        # In the node's cgroup, what a killed test leaves running ends with the node.
        return timed(node, tracked(command))
    finally:
        stop(node)
        tell(node)
        if changed := snapshot() ^ before:
            raise NotReadyError("the machine is not as it was before the node:\n" + "\n".join(sorted(changed)))


def timed(node: Node, command: list[str]) -> int:
    """Run the tests, and learn from them how long their parts took."""
    file = CACHE / "stages.json"
    file.unlink(missing_ok=True)
    try:
        with node.stage("tests", quiet=True):
            return call(command, {STAGES: str(file)})
    finally:
        if file.exists():
            node.stages |= {f"  {name}": seconds for name, seconds in json.loads(file.read_text("utf-8")).items()}


def tell(node: Node) -> None:
    """What took how long."""
    width = max(map(len, node.stages))
    say("seconds by stage")
    for name, seconds in node.stages.items():
        print(f"  {name:{width}} {seconds:7.1f}", flush=True)


def call(command: list[str], more: dict[str, str]) -> int:
    """Run a command; when this is interrupted, give it the time to tidy up."""
    child = subprocess.Popen(command, env={**environment(), **more})
    try:
        return child.wait()
    except KeyboardInterrupt as interrupt:
        # Of a Ctrl-C the terminal has told it already.
        if isinstance(interrupt, Terminated):
            child.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(PATIENCE_SECONDS)
        raise


def environment() -> dict[str, str]:
    """What a command that uses the node is given: its kubeconfig, and a kubectl of its version."""
    path = f"{Tool('kubernetes').folder / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "KUBECONFIG": str(KUBECONFIG), "PATH": path}


def say(what: str) -> None:
    print(f"› {what}", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/cluster/harness", description=__doc__)
    parser.add_argument("action", choices=("up", "down", "status", "run"))
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    # A polite end is the same as Ctrl-C: everything is taken down, also where a shell had it ignored.
    signal.signal(signal.SIGTERM, terminated)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    adopt_orphans()
    node = Node()
    try:
        refuse_unfit()
        if arguments.action == "status":
            print(f"up, with KUBECONFIG={KUBECONFIG}" if node.ready else "down")
            return 0
        with alone():
            if arguments.action == "down":
                stop(node)
                return 0
            with node.stage("preparation", quiet=True):
                prepare()
            if arguments.action == "run":
                return run(node, arguments.command)
            if node.kept:
                node.refresh()
            else:
                up(node)
                node.keep()
            say(f"up: export KUBECONFIG={KUBECONFIG}")
    except (Refusal, BuildError, NotReadyError) as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

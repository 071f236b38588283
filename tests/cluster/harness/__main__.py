"""`python tests/cluster/harness up | down | status | run COMMAND…`: the test node, by hand or around a command."""

import argparse
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from build import BuildError, build
from enclosure import leftovers
from images import Images
from node import Node
from places import CACHE, KUBECONFIG
from process import NotReadyError


class Refusal(Exception):
    """Why this machine, or this moment, will not do."""


def refuse_unfit() -> None:
    """Raise Refusal where a node cannot be run."""
    instead = "with a cluster of your own, use CLUSTER=existing and KUBECONFIG"
    if sys.platform != "linux":
        raise Refusal(f"the test node needs Linux, for its namespaces and cgroups; {instead}")
    if os.geteuid() != 0:
        raise Refusal(f"the test node needs root, for its namespaces, mounts and iptables; {instead}")
    if shutil.which("nsenter") is None or shutil.which("iptables") is None:
        raise Refusal(f"the test node needs nsenter (util-linux) and iptables; {instead}")


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
    build()
    Images().make()


def up(node: Node) -> None:
    """Start a node, over whatever a run that was killed has left."""
    if leftovers():
        print("› tidy up after a run that was killed", flush=True)
        node.stop()
    try:
        node.start()
    except BaseException:
        node.stop()
        raise


def down(node: Node) -> None:
    node.stop()
    remaining = leftovers()
    if remaining:
        raise NotReadyError("the node left behind:\n" + "\n".join(remaining))


def run(node: Node, command: list[str]) -> int:
    """Run a command with a node: one that is up already stays up, one started for it goes with it."""
    kept = node.ready
    if not kept:
        up(node)
    try:
        return subprocess.run(command, env={**os.environ, "KUBECONFIG": str(KUBECONFIG)}).returncode
    finally:
        if not kept:
            down(node)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/cluster/harness", description=__doc__)
    parser.add_argument("action", choices=("up", "down", "status", "run"))
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    # A polite end is the same as Ctrl-C: everything is taken down.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    node = Node()
    try:
        refuse_unfit()
        if arguments.action == "status":
            print(f"up, with KUBECONFIG={KUBECONFIG}" if node.ready else "down")
            return 0
        with alone():
            if arguments.action == "down":
                down(node)
            elif arguments.action == "run":
                prepare()
                return run(node, arguments.command)
            elif node.ready:
                print(f"already up: export KUBECONFIG={KUBECONFIG}")
            else:
                prepare()
                up(node)
                print(f"up: export KUBECONFIG={KUBECONFIG}")
    except (Refusal, BuildError, NotReadyError) as problem:
        print(problem, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

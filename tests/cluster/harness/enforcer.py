"""Enforces NetworkPolicies on the node: keeps iptables as `policy.py` says, after every change.

Runs as a program of the node, in its network namespace: `python -m harness.enforcer KUBECONFIG`.
"""

import subprocess
import sys
import time
from pathlib import Path

from harness.api import Api
from harness.enclosure import Enclosure
from harness.follow import keep_doing
from harness.places import KUBECONFIG
from harness.policy import ENTRY, PREFIX, TABLE, World, chains, restore_text
from harness.process import Process, module

PODS, SPACES, POLICIES = "/api/v1/pods", "/api/v1/namespaces", "/apis/networking.k8s.io/v1/networkpolicies"
# Where packets from and to pods pass: those for other pods, and those for the node itself.
HOOKS = ("FORWARD", "INPUT")


class Enforcer:
    """The program, for as long as the node is up."""

    def __init__(self, enclosure: Enclosure) -> None:
        self._enclosure = enclosure
        self._process = Process("enforcer", enclosure)

    def start(self) -> None:
        self._process.start(module(__name__, KUBECONFIG))

    def wait(self) -> None:
        self._process.wait(lambda: f"-A {HOOKS[-1]} -j {ENTRY}" in self._enclosure.call("iptables-save", "-t", TABLE))

    def stop(self) -> None:
        self._process.stop()


class Rules:
    """What is in the kernel, changed only where it has to be."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._applied: dict[str, list[str]] | None = None

    def sync(self) -> None:
        began = time.monotonic()
        world = World.of(*(self._api.items(path) for path in (PODS, SPACES, POLICIES)))
        wanted = chains(world)
        if wanted == self._applied:
            return
        saved = _iptables("iptables-save", "-t", TABLE).splitlines()
        present = [line[1:].split()[0] for line in saved if line.startswith((f":{PREFIX}", f":{ENTRY} "))]
        _iptables("iptables-restore", "--noflush", "--wait", text=restore_text(wanted, present))
        for hook in HOOKS:
            if f"-A {hook} -j {ENTRY}" not in saved:
                _iptables("iptables", "--wait", "-t", TABLE, "-I", hook, "-j", ENTRY)
        self._applied = wanted
        took = 1000 * (time.monotonic() - began)
        print(f"{len(wanted) - 1} chains for {len(world.policies)} policies in {took:.0f} ms", flush=True)


def _iptables(*command: str, text: str | None = None) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=30)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    api = Api(Path(sys.argv[1]))
    rules = Rules(api)
    keep_doing(api, (PODS, SPACES, POLICIES), rules.sync)

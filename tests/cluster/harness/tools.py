"""What the node needs of this machine, and why a machine will not do."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from harness.build import BuildError

# The program, and the Debian package that has it.
NEEDED = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "debootstrap": "debootstrap",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "mount": "mount",
}
INSTEAD = "with a cluster of your own, run make test-cluster CLUSTER=existing with KUBECONFIG set"


class Refusal(Exception):
    """Why this machine, or this moment, will not do."""


def refuse_unfit() -> None:
    """Raise Refusal where a node cannot be run."""
    if sys.platform != "linux":
        raise Refusal(f"the test node needs Linux, for its namespaces and cgroups; {INSTEAD}")
    if os.geteuid() != 0:
        raise Refusal(f"the test node needs root, for its namespaces, mounts and iptables; {INSTEAD}")


def install() -> None:
    """Install what is missing, on Debian and its kin; elsewhere, say what is."""
    missing = sorted({package for program, package in NEEDED.items() if shutil.which(program) is None})
    if not missing:
        return
    if shutil.which("apt-get") is None:
        raise Refusal(f"the test node needs {', '.join(missing)} (Debian's names): install them; {INSTEAD}")
    print(f"› install {' '.join(missing)}", flush=True)
    quiet = ["apt-get", "-qq", "-o=Dpkg::Use-Pty=0"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in ([*quiet, "update"], [*quiet, "install", "-y", "--no-install-recommends", *missing]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
        if done.returncode:
            raise BuildError(f"{' '.join(command)} failed:\n{done.stderr[-1000:]}")
    _leave_no_daemon()


def _leave_no_daemon() -> None:
    """Debian starts its containerd when it is installed; the node has one of its own."""
    if shutil.which("systemctl") and Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "disable", "--now", "containerd"], capture_output=True, timeout=60)

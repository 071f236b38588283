"""The node lives in a network and a mount namespace and a cgroup of its own: when they end, nothing of it is left.

Its interfaces, iptables rules and mounts exist only in there, and every process it starts is in its cgroup, also those
whose parents died. One veth pair leads in: this machine's end is HOST_ADDRESS, the node's is NODE_ADDRESS.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.family import bury
from harness.places import NAME, RUN, STATE

HOST_ADDRESS = "10.78.0.1"
NODE_ADDRESS = "10.78.0.2"
POD_RANGE = "10.77.0.0/24"
SERVICE_RANGE = "10.96.0.0/16"
# This machine's end of the pair.
INTERFACE = "slipway-test0"
CGROUPS = Path("/sys/fs/cgroup")
# Folders that programs write to whatever they are told. In the node's mount namespace, they lead to its own.
HARD_WIRED = (
    "/run/mount",
    "/run/containerd",
    "/var/lib/cni",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/usr/libexec/kubernetes",
)
# Of the whole machine, and changed by a kubelet.
SWITCHES = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
INSIDE = """
set -e
mount -n --make-rshared /
{binds}
ip link set lo up
echo 1 > /proc/sys/net/ipv4/ip_forward
# Otherwise a pod's call to its neighbour on the bridge is seen by no rule.
[ ! -e /proc/sys/net/bridge ] || echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables
echo ready
exec sleep infinity
"""


class Enclosure:
    """Make it with `start`, end it and all that is in it with `stop`, which also ends what an earlier run left."""

    def __init__(self, run: Path = RUN, state: Path = STATE) -> None:
        self.run = run
        self.state = state
        self._holder = 0

    def start(self) -> None:
        self.run.mkdir(mode=0o755)
        self.state.mkdir(mode=0o711, parents=True)
        self._remember()
        for group in _groups():
            (group / NAME).mkdir()
        _programs().mkdir()
        self._hold()
        pair = ["ip", "link", "add", INTERFACE, "type", "veth", "peer", "name", "eth0", "netns", str(self._holder)]
        subprocess.run(pair, check=True)
        _run("ip", "addr", "add", f"{HOST_ADDRESS}/30", "dev", INTERFACE)
        _run("ip", "link", "set", INTERFACE, "up")
        for where in (POD_RANGE, SERVICE_RANGE):
            _run("ip", "route", "add", where, "via", NODE_ADDRESS)
        self.call("ip", "addr", "add", f"{NODE_ADDRESS}/30", "dev", "eth0")
        self.call("ip", "link", "set", "eth0", "up")
        self.call("ip", "route", "add", "default", "via", HOST_ADDRESS)

    def inside(self, command: Sequence[str | Path]) -> list[str]:
        """The command that runs `command` in the namespaces and the cgroup, under the id that it is started with."""
        return tracked(["nsenter", f"--target={self._holder}", "--mount", "--net", "--", *map(str, command)])

    def call(self, *command: str | Path, check: bool = True, text: str = "") -> str:
        """Run something short inside; returns what it said."""
        done = subprocess.run(self.inside(command), input=text, capture_output=True, text=True, timeout=120)
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def attach(self) -> bool:
        """Find the enclosure that another process started; False when there is none."""
        with contextlib.suppress(OSError, ValueError):
            pid, began = (self.run / "holder").read_text(encoding="utf-8").split()
            if _began(int(pid)) == began:
                self._holder = int(pid)
                return True
        return False

    def stop(self) -> None:
        for _ in range(200):
            members = set(_members())
            if not members:
                break
            for pid in members:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            bury()
            time.sleep(0.05)
        # The pair goes with the namespace, but the kernel takes its time for that.
        subprocess.run(["ip", "link", "delete", INTERFACE], capture_output=True)
        for group in _groups():
            for folder in sorted((group / NAME).rglob("*/"), key=lambda path: len(path.parts), reverse=True):
                _remove_group(folder)
            _remove_group(group / NAME)
        self._restore()
        for folder in (self.run, self.state):
            _remove_tree(folder)

    def _hold(self) -> None:
        """Start the process that the namespaces belong to."""
        binds = []
        for place in map(Path, HARD_WIRED):
            own = self.state / "hard-wired" / place.name / place.parent.name
            own.mkdir(parents=True)
            binds.append(f"mount -n --bind {own} {place}")
        command = ["unshare", "--mount", "--net", "sh", "-c", INSIDE.format(binds="\n".join(binds))]
        holder = subprocess.Popen(
            tracked(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        if holder.stdout is None or holder.stdout.readline() != "ready\n":
            _, problem = holder.communicate(timeout=10)
            raise RuntimeError(f"no namespaces could be made: {problem.strip()}")
        self._holder = holder.pid
        self._child = holder
        (self.run / "holder").write_text(f"{holder.pid} {_began(holder.pid)}", encoding="utf-8")

    def _remember(self) -> None:
        """Write down what is changed outside, before it is."""
        switches = {
            name: path.read_text(encoding="utf-8").strip() for name in SWITCHES if (path := _switch(name)).exists()
        }
        made = [str(path) for place in HARD_WIRED for path in _absent(Path(place))]
        (self.run / "before.json").write_text(json.dumps({"switches": switches, "made": made}), encoding="utf-8")
        for place in HARD_WIRED:
            Path(place).mkdir(parents=True, exist_ok=True)

    def _restore(self) -> None:
        try:
            before = json.loads((self.run / "before.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        for name, value in before["switches"].items():
            with contextlib.suppress(OSError):
                _switch(name).write_text(value, encoding="utf-8")
        for path in sorted(before["made"], key=len, reverse=True):
            with contextlib.suppress(OSError):
                Path(path).rmdir()


def leftovers() -> list[str]:
    """What of a node is on this machine: nothing, after a good end."""
    found = [f"process {pid}: {_command(pid)}" for pid in sorted(set(_members()))]
    found += [f"cgroup {group / NAME}" for group in _groups() if (group / NAME).exists()]
    found += [f"folder {folder}" for folder in (RUN, STATE) if folder.exists()]
    mounts = Path("/proc/mounts").read_text(encoding="utf-8")
    found += [f"mount {line.split()[1]}" for line in mounts.splitlines() if NAME in line]
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout
    found += [f"interface {line.split()[1]}" for line in links.splitlines() if INTERFACE in line]
    return found


def _groups() -> list[Path]:
    """Every cgroup hierarchy: one on a machine with version 2, one a controller with version 1, or both kinds."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [
        path for path in sorted(CGROUPS.iterdir()) if path.is_dir() and not path.is_symlink() and _is_hierarchy(path)
    ]


def _programs() -> Path:
    """The cgroup that programs of the node are in; with version 1, one controller is enough to find them by."""
    groups = _groups()
    chosen = next((group for group in groups if group.name in {"pids", "freezer", "systemd"}), groups[0])
    return chosen / NAME / "programs"


def tracked(command: Sequence[str]) -> list[str]:
    """The same program under the same id, in the node's cgroup before its first step."""
    return ["sh", "-c", f'echo $$ > {_programs() / "cgroup.procs"} && exec "$@"', "sh", *command]


def _is_hierarchy(path: Path) -> bool:
    return (path / "cgroup.procs").exists()


def _members() -> Iterator[int]:
    """Every process in the node's cgroup."""
    for group in _groups():
        for file in (group / NAME).rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                yield from map(int, file.read_text(encoding="utf-8").split())


def _remove_group(folder: Path) -> None:
    for _ in range(100):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            try:
                folder.rmdir()
            except OSError as problem:
                if isinstance(problem, FileNotFoundError):
                    return
                time.sleep(0.05)
                continue
        return


def _remove_tree(folder: Path) -> None:
    """The last mounts below it end with their namespace, a moment after its last process."""
    for _ in range(100):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)


def _absent(path: Path) -> list[Path]:
    return [place for place in (path, *path.parents) if not place.exists()]


def _switch(name: str) -> Path:
    return Path("/proc/sys") / name


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:120]
    return ""


def _began(pid: int) -> str:
    """When a process began, in ticks: with its id, the one sure name of it."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    state, *fields = text.rpartition(")")[2].split()
    return "" if state == "Z" else fields[18]

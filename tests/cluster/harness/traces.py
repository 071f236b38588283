"""What of a node could be left on a machine: looked at before and after, so that a run that leaves anything says so."""

import re
import shutil
import subprocess
from pathlib import Path

from harness.enclosure import CGROUPS, SWITCHES

FOLDERS = ("/run", "/var/lib", "/var/log", "/var/run/netns", "/usr/libexec", "/etc/cni", "/tmp/plugins")
RULES = ("iptables-save", "ip6tables-save", "iptables-legacy-save")


def snapshot() -> set[str]:
    """Mounts, interfaces, namespaces, rules, cgroups, folders and switches, each as a line."""
    seen = {f"mount {line.split()[1]}" for line in Path("/proc/mounts").read_text("utf-8").splitlines()}
    seen |= {f"interface {name}" for name in re.findall(r"^\d+: ([^:@]+)", _said("ip", "-o", "link"), re.MULTILINE)}
    seen |= {f"route {line}" for line in _said("ip", "route").splitlines()}
    for command in RULES:
        seen |= {f"{command} {line}" for line in _said(command).splitlines() if line.startswith("-A")}
        seen |= {f"{command} {line.split()[0]}" for line in _said(command).splitlines() if re.match(r":.* - \[", line)}
    for folder in map(Path, FOLDERS):
        seen |= {f"file {entry}" for entry in folder.iterdir()} if folder.is_dir() else set()
    seen |= {f"cgroup {entry}" for entry in (*CGROUPS.glob("*/"), *CGROUPS.glob("*/*/"))}
    switches = (Path("/proc/sys") / name for name in SWITCHES)
    seen |= {f"{switch} {switch.read_text('utf-8').strip()}" for switch in switches if switch.exists()}
    return seen


def _said(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout

"""The node's own network: one bridge that pods hang on, and the kernel switches that Services need."""

import json
import subprocess
from pathlib import Path

from control_plane import NODE_ADDRESS, POD_RANGE

BRIDGE = "slipway0"
SWITCHES = {
    "net/ipv4/ip_forward": "1",
    # Without it, a pod that calls a Service whose pod is its neighbour never sees the answer.
    "net/bridge/bridge-nf-call-iptables": "1",
}


def ip(*arguments: str, check: bool = True) -> str:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"ip {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout


class Network:
    """Makes the bridge and remembers what the kernel's switches were, on disk, so that any later run can undo it."""

    def __init__(self, run: Path) -> None:
        self._before = run / "switches.json"
        self.cni = run / "cni"

    def start(self) -> None:
        values = {name: (Path("/proc/sys") / name).read_text(encoding="utf-8").strip() for name in SWITCHES}
        if not self._before.exists():
            self._before.write_text(json.dumps(values), encoding="utf-8")
        for name, value in SWITCHES.items():
            (Path("/proc/sys") / name).write_text(value, encoding="utf-8")
        ip("link", "add", BRIDGE, "type", "bridge")
        ip("addr", "add", f"{NODE_ADDRESS}/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        self.cni.mkdir(exist_ok=True)
        bridge = {
            "type": "bridge",
            "bridge": BRIDGE,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "dataDir": str(self.cni / "addresses"),
                "ranges": [[{"subnet": POD_RANGE, "rangeStart": "10.77.0.10", "gateway": NODE_ADDRESS}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
        config = {"cniVersion": "1.0.0", "name": "slipway-test", "plugins": [bridge, {"type": "portmap", "capabilities": {"portMappings": True}}]}
        (self.cni / "10-test.conflist").write_text(json.dumps(config), encoding="utf-8")

    def stop(self) -> None:
        ip("link", "delete", BRIDGE, check=False)
        if self._before.exists():
            for name, value in json.loads(self._before.read_text(encoding="utf-8")).items():
                (Path("/proc/sys") / name).write_text(value, encoding="utf-8")
            self._before.unlink()

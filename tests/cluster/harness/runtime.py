"""containerd, with roots of its own: nothing of another containerd on the machine is seen or touched."""

import json
import subprocess

from harness.enclosure import NODE_ADDRESS, POD_RANGE, Enclosure
from harness.process import Process

REGISTRY = f"{NODE_ADDRESS}:5000"
PAUSE = f"{REGISTRY}/pause:1"
CONFIG = """\
version = 2
root = "{root}"
state = "{state}"
[grpc]
  address = "{socket}"
[debug]
  level = "warn"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  netns_mounts_under_state_dir = true
  # Root of a build machine may lack CAP_SYS_RESOURCE, and no sandbox would start.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{cni}"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{registries}"
"""


class Runtime:
    """Runs containers for the kubelet."""

    def __init__(self, enclosure: Enclosure) -> None:
        self._enclosure = enclosure
        self.socket = enclosure.run / "containerd.sock"
        self._cni = enclosure.run / "cni"
        self._registries = enclosure.run / "registries"
        self._process = Process("containerd", enclosure)

    def start(self) -> None:
        self._write_network()
        self._write_registries()
        config = self._enclosure.run / "containerd.toml"
        text = CONFIG.format(
            root=self._enclosure.state / "containerd",
            state=self._enclosure.run / "containerd",
            socket=self.socket,
            pause=PAUSE,
            cni=self._cni,
            registries=self._registries,
        )
        config.write_text(text, encoding="utf-8")
        self._process.start(["containerd", "--config", config])
        self._process.wait(lambda: self.socket.exists() and self._ctr("version").returncode == 0)

    def stop(self) -> None:
        self._process.stop()

    def _write_network(self) -> None:
        """Pods hang on one bridge and are seen under their own addresses; nothing leads them outside."""
        bridge = {
            "type": "bridge",
            "bridge": "pods",
            "isGateway": True,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "dataDir": str(self._enclosure.run / "pod-addresses"),
                "ranges": [[{"subnet": POD_RANGE}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
        ports = {"type": "portmap", "capabilities": {"portMappings": True}}
        self._cni.mkdir()
        config = {"cniVersion": "1.0.0", "name": "slipway-test", "plugins": [bridge, ports]}
        (self._cni / "10-test.conflist").write_text(json.dumps(config), encoding="utf-8")

    def _write_registries(self) -> None:
        """Whatever registry an image names, it is the local one: a stack's own names need no change."""
        folder = self._registries / "_default"
        folder.mkdir(parents=True)
        server = f'server = "http://{REGISTRY}"\n[host."http://{REGISTRY}"]\n  capabilities = ["pull", "resolve"]\n'
        (folder / "hosts.toml").write_text(server, encoding="utf-8")

    def _ctr(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = ["ctr", "--address", str(self.socket), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

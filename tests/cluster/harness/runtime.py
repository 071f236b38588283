"""containerd, with roots of its own: nothing of another containerd on the machine is seen or touched."""

import shutil
import subprocess
from pathlib import Path

from process import Process

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
PAUSE = "slipway.test/pause:1"


class Runtime:
    """Runs containers for the kubelet."""

    def __init__(self, run: Path, data: Path, cni: Path) -> None:
        self._run = run
        self._data = data
        self._cni = cni
        self.socket = run / "containerd.sock"
        self.registries = run / "registries"
        self._process = Process("containerd", run)

    def start(self) -> None:
        # Otherwise network namespaces stay busy in the mount namespace of whoever looks at them.
        subprocess.run(["mount", "--make-rshared", "/"], check=True)
        self._data.mkdir(parents=True, exist_ok=True)
        self.registries.mkdir(exist_ok=True)
        config = self._run / "containerd.toml"
        text = CONFIG.format(
            root=self._data, state=self._run / "containerd", socket=self.socket, pause=PAUSE,
            cni=self._cni, registries=self.registries,
        )
        config.write_text(text, encoding="utf-8")
        self._process.start(["containerd", "--config", config])
        self._process.wait(lambda: self.socket.exists() and self._ctr("version").returncode == 0)

    def trust(self, registry: str) -> None:
        """Pull from this registry over plain HTTP."""
        folder = self.registries / registry
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "hosts.toml").write_text(f'server = "http://{registry}"\n[host."http://{registry}"]\n', encoding="utf-8")

    def load(self, archive: Path) -> None:
        """Import images from an archive as `docker save` writes it."""
        done = self._ctr("-n", "k8s.io", "images", "import", str(archive))
        if done.returncode:
            raise RuntimeError(f"{archive.name} was not imported: {done.stderr.strip()}")

    def stop(self) -> None:
        if self.socket.exists():
            self._end_containers()
        self._process.stop()
        unmount_below(self._run)
        unmount_below(self._data)
        shutil.rmtree(self._run / "containerd", ignore_errors=True)

    def _end_containers(self) -> None:
        """The kubelet is gone: whatever it left running is ended here, by its own id."""
        for task in self._ctr("-n", "k8s.io", "tasks", "ls", "-q").stdout.split():
            self._ctr("-n", "k8s.io", "tasks", "kill", "-s", "SIGKILL", task)
            self._ctr("-n", "k8s.io", "tasks", "rm", "-f", task)
        for container in self._ctr("-n", "k8s.io", "containers", "ls", "-q").stdout.split():
            self._ctr("-n", "k8s.io", "containers", "rm", container)

    def _ctr(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = ["ctr", "--address", str(self.socket), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)


def unmount_below(folder: Path) -> None:
    """Undo every mount under a folder, the deepest first."""
    with Path("/proc/mounts").open(encoding="utf-8") as mounts:
        points = [line.split()[1].replace("\\040", " ") for line in mounts]
    for point in sorted((point for point in points if point.startswith(f"{folder}/")), key=len, reverse=True):
        subprocess.run(["umount", "-l", point], capture_output=True)

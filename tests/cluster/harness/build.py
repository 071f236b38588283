"""Builds the tool chain from Go modules, each version once: the cache is keyed by its go.mod, go.sum and sources."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from places import CACHE, TOOLCHAIN

VERSION_FLAGS = {
    "pulumi": "-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={version}",
    "pulumi-language": "-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={version}",
    "kubernetes": (
        "-X k8s.io/component-base/version.gitVersion={version}"
        " -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34"
    ),
}
# What `go install` would call something else than people do.
NAMES = {"etcd": {"server": "etcd"}}
# In the order in which the node wants them; the slow ones first, so that a failure of the rest is found late but once.
ALL = (
    "pulumi-language",
    "pulumi",
    "etcd",
    "kubernetes",
    "coredns",
    "metrics-server",
    "cert-manager",
    "pebble",
    "traefik",
    "ferretdb",
    "crane",
)


class BuildError(Exception):
    """A tool that could not be built, with the end of what Go said."""


@dataclass(frozen=True)
class Tool:
    """One module under `toolchain/`, and the folder that its binaries are in once built."""

    name: str

    @property
    def source(self) -> Path:
        return TOOLCHAIN / self.name

    @property
    def version(self) -> str:
        """The version of the first module that its go.mod requires."""
        lines = (self.source / "go.mod").read_text(encoding="utf-8").splitlines()
        return next(line.split()[2] for line in lines if line.startswith("require ") and "(" not in line)

    @property
    def folder(self) -> Path:
        digest = hashlib.sha256()
        for file in sorted(self.source.iterdir()):
            digest.update(file.name.encode() + file.read_bytes())
        return CACHE / "toolchain" / f"{self.name}-{self.version}-{digest.hexdigest()[:12]}"

    @property
    def built(self) -> bool:
        return (self.folder / "built.json").exists()

    def binary(self, name: str) -> Path:
        """A built binary. Raises BuildError for one that is not there."""
        path = self.folder / "bin" / name
        if not path.exists():
            raise BuildError(f"{self.name} has no binary {name}: run make test-cluster, which builds it")
        return path

    def build(self) -> None:
        """Build into a folder of its own, which counts only once everything is there: a broken build leaves nothing."""
        if self.built:
            return
        part = self.folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        (part / "bin").mkdir(parents=True)
        flags = f"-s -w {VERSION_FLAGS.get(self.name, '')}".format(version=self.version).strip()
        environment = {**os.environ, "GOBIN": str(part / "bin"), "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
        own = (self.source / "main.go").exists()
        target = ["go", "build", "-ldflags", flags, "-o", str(part / "bin" / self.name), "."]
        command = target if own else ["go", "install", "-ldflags", flags, "tool"]
        done = subprocess.run(command, cwd=self.source, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise BuildError(f"{self.name} {self.version} was not built:\n" + "\n".join(done.stderr.splitlines()[-20:]))
        for old, new in NAMES.get(self.name, {}).items():
            (part / "bin" / old).rename(part / "bin" / new)
        if self.name == "pulumi-language":
            self._add_launchers(part / "bin", environment)
        (part / "built.json").write_text(json.dumps({"version": self.version}), encoding="utf-8")
        shutil.rmtree(self.folder, ignore_errors=True)
        part.rename(self.folder)

    def _add_launchers(self, folder: Path, environment: dict[str, str]) -> None:
        """The Python language host calls scripts that lie beside it in its module, not in the binary."""
        listed = subprocess.run(
            ["go", "list", "-m", "-f", "{{.Dir}}", "github.com/pulumi/pulumi/sdk/v3"],
            cwd=self.source, env=environment, capture_output=True, text=True, check=True,
        )
        module = Path(listed.stdout.strip())
        scripts = [module / "python/cmd/pulumi-language-python-exec", *(module / "python/dist").glob("pulumi-*")]
        for script in scripts:
            if script.suffix != ".cmd":
                shutil.copyfile(script, folder / script.name)
                (folder / script.name).chmod(0o755)


def build(names: Iterable[str] = ALL) -> None:
    """Build what is missing, and say so while it lasts."""
    missing = [tool for tool in map(Tool, names) if not tool.built]
    if not missing:
        return
    if shutil.which("go") is None:
        raise BuildError("Go builds the tool chain of the cluster tests: install Go 1.25 or later")
    for index, tool in enumerate(missing, start=1):
        began = time.monotonic()
        print(f"› build {tool.name} {tool.version} ({index} of {len(missing)}) …", end=" ", flush=True)
        tool.build()
        print(f"{time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    try:
        build(sys.argv[1:] or ALL)
    except BuildError as error:
        sys.exit(str(error))

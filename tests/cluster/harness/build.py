"""Builds the tool chain from Go modules, each version once: the cache is keyed by its go.mod, go.sum and sources.

`python tests/cluster/harness/build.py [tool …]` builds what is missing. A build that was cut short goes on where Go's
own cache stands; go.sum says what every download must hash to.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.places import CACHE, TOOLCHAIN

VERSION_FLAGS = {
    "pulumi": "-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={version}",
    "pulumi-language": "-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={version}",
    # As released: without them it takes every cluster for an old one.
    "helm": (
        "-X helm.sh/helm/v3/internal/version.version={version}"
        " -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/chartutil.k8sVersionMinor=35"
        " -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/lint/rules.k8sVersionMinor=35"
    ),
    "kubernetes": (
        "-X k8s.io/component-base/version.gitVersion={version}"
        " -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34"
    ),
}
# What `go install` would call something else than people do.
NAMES = {"etcd": {"server": "etcd"}}
# What programs need from their modules: scripts that the language host calls, definitions of cert-manager's kinds.
FILES = {
    "pulumi-language": ("python/cmd/pulumi-language-python-exec", "python/dist/pulumi-*[!.cmd]"),
    "cert-manager": ("deploy/crds/crd-*.yaml",),
    "traefik": ("docs/content/reference/dynamic-configuration/traefik.io_*.yaml",),
    # Definitions alone, which nothing here serves: examples are tried against them.
    "gateway-api": ("config/crd/standard/gateway.networking.k8s.io_*.yaml",),
    "istio": ("kubernetes/customresourcedefinitions.gen.yaml",),
    "argo-cd": ("manifests/crds/*-crd.yaml",),
}
# They run on this machine, with its C library; all others go into images that hold nothing but them.
ON_THIS_MACHINE = frozenset(
    {"pulumi", "pulumi-language", "etcd", "kubernetes", "crane", "helm", "kubeconform", "kustomize", "kwok", "lua"}
)
# In the order in which the node wants them.
NODE = ("etcd", "kubernetes", "crane", "coredns", "metrics-server", "cert-manager", "pebble", "traefik", "ferretdb")
ENGINE = ("pulumi-language", "pulumi")
ALL = (*NODE, *ENGINE)
# A sixth less work: nothing is debugged, and the compiler need not save memory.
COMPILER_FLAGS = "all=-dwarf=false"
COMPILER_GOGC = "800"
PROGRESS_SECONDS = 30


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
    def module(self) -> tuple[str, str]:
        """The module that the tool is from, and its version."""
        text = (self.source / "go.mod").read_text(encoding="utf-8")
        programs = re.findall(r"^(?:tool)?\s+?([\w./-]+/[\w./-]+)$", text, re.MULTILINE)
        required = re.findall(r"^(?:require)?\s+([\w./-]+/[\w./-]+) (v\S+)( // indirect)?$", text, re.MULTILINE)
        for path, version, indirect in sorted(required, key=lambda entry: len(entry[0]), reverse=True):
            if f"{programs[0]}/".startswith(f"{path}/") if programs else not indirect:
                return path, version
        raise BuildError(f"{self.source / 'go.mod'} requires no module that has {programs or 'what main.go imports'}")

    @property
    def version(self) -> str:
        return self.module[1]

    @property
    def folder(self) -> Path:
        digest = hashlib.sha256(repr((VERSION_FLAGS.get(self.name), FILES.get(self.name))).encode())
        for file in sorted(self.source.iterdir()):
            digest.update(file.name.encode() + file.read_bytes())
        return CACHE / "toolchain" / f"{self.name}-{self.version}-{digest.hexdigest()[:12]}"

    @property
    def built(self) -> bool:
        return self.folder.exists()

    def binary(self, name: str) -> Path:
        """A built binary. Raises BuildError for one that is not there."""
        path = self.folder / "bin" / name
        if not path.exists():
            raise BuildError(f"{self.name} has no binary {name}: run make test-cluster, which builds it")
        return path

    @property
    def module_folder(self) -> Path:
        """Where Go keeps the module's own files; they are downloaded again if they are gone."""
        command = ["go", "mod", "download", "-json", self.module[0]]
        done = subprocess.run(command, cwd=self.source, env=_environment(), capture_output=True, text=True, timeout=600)
        if done.returncode:
            raise BuildError(f"{self.module[0]} cannot be had: {done.stderr.strip()}")
        return Path(json.loads(done.stdout)["Dir"])

    def build(self) -> None:
        """Build into a folder of its own, which counts only once everything is there: a broken build leaves nothing."""
        part = self.folder.with_name(f"{self.folder.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        (part / "bin").mkdir(parents=True)
        flags = f"-s -w {VERSION_FLAGS.get(self.name, '')}".format(version=self.version).strip()
        environment = _environment(GOBIN=str(part / "bin"), GOGC=COMPILER_GOGC)
        if self.name not in ON_THIS_MACHINE:
            environment["CGO_ENABLED"] = "0"
        options = ["-v", "-gcflags", COMPILER_FLAGS, "-ldflags", flags]
        if (self.source / "main.go").exists():
            _go(["build", "-o", str(part / "bin" / self.name), *options, "."], self, environment)
        elif "\ntool " in (self.source / "go.mod").read_text(encoding="utf-8"):
            _go(["install", *options, "tool"], self, environment)
        for old, new in NAMES.get(self.name, {}).items():
            (part / "bin" / old).rename(part / "bin" / new)
        for pattern in FILES.get(self.name, ()):
            self._add_files(part / "bin", pattern)
        part.rename(self.folder)

    def _add_files(self, folder: Path, pattern: str) -> None:
        """Copy what lies in the module and not in the binary; scripts become programs."""
        for file in self.module_folder.glob(pattern):
            shutil.copyfile(file, folder / file.name)
            (folder / file.name).chmod(0o755 if file.read_bytes()[:2] == b"#!" else 0o644)


def _environment(**more: str) -> dict[str, str]:
    """Go may not change go.mod or go.sum, and takes no other workspace's word."""
    return {**os.environ, "GOFLAGS": "-mod=readonly", "GOWORK": "off", **more}


def _go(arguments: list[str], tool: Tool, environment: dict[str, str]) -> None:
    """Run Go, and say now and then how many packages it has compiled."""
    said: deque[str] = deque(maxlen=20)
    compiled, spoke = 0, time.monotonic()
    command = ["nice", "-n", "10", "go", *arguments]
    with subprocess.Popen(command, cwd=tool.source, env=environment, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr or ():
            said.append(line.rstrip())
            compiled += 1
            if time.monotonic() - spoke > PROGRESS_SECONDS:
                spoke = time.monotonic()
                print(f"{compiled} packages …", end=" ", flush=True)
    if process.returncode:
        raise BuildError(f"{tool.name} {tool.version} was not built:\n" + "\n".join(said))


def build(names: Iterable[str] = ALL) -> None:
    """Build what is missing, one tool after the other, and say so while it lasts."""
    tools = [Tool(name) for name in names]
    if all(tool.built for tool in tools):
        return
    if shutil.which("go") is None:
        raise BuildError("Go builds the tool chain of the cluster tests: install Go 1.24 or later")
    for index, tool in enumerate(tools, start=1):
        with _alone(tool):
            if tool.built:
                continue
            began = time.monotonic()
            print(f"› build {tool.name} {tool.version} ({index} of {len(tools)}) …", end=" ", flush=True)
            tool.build()
            print(f"{time.monotonic() - began:.0f} s", flush=True)


@contextmanager
def _alone(tool: Tool) -> Iterator[None]:
    """Two runs on one machine do not build the same tool: the second waits and finds it there."""
    tool.folder.parent.mkdir(parents=True, exist_ok=True)
    with (tool.folder.parent / f"{tool.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        build(sys.argv[1:] or ALL)
    except BuildError as error:
        sys.exit(str(error))

"""Runs a Dockerfile's own steps without Docker: each RUN in a chroot, on overlays over the base, each step cached.

It knows the instructions that `app/Dockerfile` uses and refuses every other, so that no test passes on an image that
lacks a step.
"""

import hashlib
import os
import re
import shlex
import shutil
import ssl
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.build import BuildError
from harness.oci import Settings

RUN_MINUTES = 15
NOT_COPIED = shutil.ignore_patterns("__pycache__", ".git")
OVERLAY = "mount -n -t overlay overlay -o lowerdir={lower},upperdir={upper},workdir={work} {root}\n"
CHROOT = """
mount -n --rbind /dev {root}/dev
mount -n -t proc proc {root}/proc
mount -n --bind /etc/resolv.conf {root}/etc/resolv.conf
mount -n -t tmpfs tmpfs {root}/run
mkdir {root}/run/secrets
[ -z "{secret}" ] || cp "{authorities}" {root}/run/secrets/{secret}
exec chroot {root} sh -c 'cd "$1" && shift && exec "$@"' sh {folder} sh -ec "$STEP"
"""


@dataclass
class Stage:
    """One FROM and what follows it; the layers hold what its steps have written."""

    layers: list[Path] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    # Known to RUN and to no container.
    arguments: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = ""
    command: list[str] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return Settings(command=self.command, environment=self.environment, user=self.user, folder=self.folder)


class Builder:
    """Builds a stage of a Dockerfile over a base that is a folder; `work` keeps the steps for the next time.

    `given` are stages that are not built but stood in for.
    """

    def __init__(
        self,
        context: Path,
        base: Path,
        work: Path,
        arguments: Mapping[str, str] | None = None,
        given: Mapping[str, Stage] | None = None,
    ) -> None:
        self._context, self._base, self._work = context, base, work
        self._arguments = dict(arguments or {})
        self._given = dict(given or {})
        self._stages: dict[str, Stage] = {}
        self._stage = Stage()
        self._name = ""
        self.used: set[Path] = set()

    def build(self, dockerfile: Path, target: str = "") -> Stage:
        """The stage of that name, or the last one, and before it those that it needs."""
        stages: dict[str, list[tuple[str, str]]] = {}
        name = ""
        for instruction, rest in instructions(dockerfile.read_text(encoding="utf-8")):
            if not hasattr(self, f"_{instruction.lower()}"):
                raise BuildError(f"{dockerfile.name}: {instruction} is not known to the harness: {rest}")
            if instruction == "FROM":
                name = rest.split()[2] if " AS " in rest else f"stage-{len(stages)}"
            stages.setdefault(name, []).append((instruction, rest))
        self._stages = dict(self._given)
        for stage in _needed(stages, target or name):
            if stage not in self._given:
                self._name = stage
                for instruction, rest in stages[stage]:
                    getattr(self, f"_{instruction.lower()}")(rest)
        return self._stages[target or name]

    def forget_unused(self) -> None:
        """Remove the steps that this build did not need."""
        for step in self._work.iterdir():
            if step not in self.used:
                subprocess.run(["rm", "-rf", "--one-file-system", str(step)], check=True)

    def _from(self, rest: str) -> None:
        before = self._stages.get(rest.split(maxsplit=1)[0])
        if before is None:
            stage = Stage(environment={"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})
        else:
            stage = replace(before, layers=[*before.layers], environment={**before.environment}, arguments={})
        self._stage = self._stages[self._name] = stage

    def _arg(self, rest: str) -> None:
        name, _, default = rest.partition("=")
        self._stage.arguments[name] = self._arguments.get(name, default)

    def _env(self, rest: str) -> None:
        for pair in shlex.split(rest):
            name, _, value = pair.partition("=")
            self._stage.environment[name] = re.sub(r"\$(\w+)", lambda known: self._stage.environment[known[1]], value)

    def _workdir(self, rest: str) -> None:
        self._stage.folder = rest

    def _user(self, rest: str) -> None:
        self._stage.user = rest

    def _expose(self, _rest: str) -> None:
        """Says something to people only."""

    def _cmd(self, rest: str) -> None:
        self._stage.command = re.findall(r'"([^"]*)"', rest)

    def _copy(self, rest: str) -> None:
        *sources, target = rest.split()
        stage = None
        if sources[0].startswith("--from="):
            stage = self._stages[sources.pop(0).removeprefix("--from=")]
        place = os.path.normpath(f"{self._stage.folder}/{target}" if not target.startswith("/") else target)
        if stage is not None:
            before = [str(layer) for layer in stage.layers]
            content = hashlib.sha256(repr(before).encode()).hexdigest()
        else:
            content = _digest([self._context / source for source in sources])
        layer, new = self._layer(f"COPY {rest} {place} {content}")
        if not new:
            return
        end = layer / "upper" / place.lstrip("/")
        for source in sources:
            if stage is not None:
                self._copy_merged(stage, source, end, into=target.endswith("/"))
            elif (self._context / source).is_dir():
                shutil.copytree(self._context / source, end, symlinks=True, dirs_exist_ok=True, ignore=NOT_COPIED)
            else:
                end.mkdir(parents=True, exist_ok=True)
                shutil.copy2(self._context / source, end)
        self._keep(layer)

    def _copy_merged(self, stage: Stage, source: str, end: Path, *, into: bool) -> None:
        """What an earlier stage has at a path, through all its layers: all of a folder, or a file `into` a folder."""
        root = self._work / "merged"
        root.mkdir(exist_ok=True)
        folder = end if into else end.parent
        folder.mkdir(parents=True, exist_ok=True)
        lower = ":".join(str(folder / "upper") for folder in reversed(stage.layers))
        copy = f"if [ -d {root}{source} ]; then mkdir -p {end}; cp -a {root}{source}/. {end}/; "
        copy += f"else cp -a {root}{source} {end}{'/' if into else ''}; fi"
        script = f"mount -n -t overlay overlay -o lowerdir={lower}:{self._base} {root}\n{copy}"
        _shell(script, {"PATH": os.environ["PATH"]}, f"COPY {source}")
        root.rmdir()

    def _run(self, rest: str) -> None:
        secret = re.match(r"--mount=type=secret,id=([\w-]+)\s+", rest)
        stage = self._stage
        environment = {**stage.environment, **stage.arguments, "HOME": "/root"}
        layer, new = self._layer(f"RUN {rest} {sorted(environment.items())} {stage.folder}")
        if not new:
            return
        for folder in ("root", "work"):
            (layer / folder).mkdir()
        below = [str(folder / "upper") for folder in reversed(stage.layers)]
        names = {
            "lower": ":".join([*below, str(self._base)]),
            "upper": layer / "upper",
            "work": layer / "work",
            "root": layer / "root",
            "folder": stage.folder,
            "secret": secret[1] if secret else "",
            "authorities": authorities(),
        }
        step = rest[secret.end() :] if secret else rest
        _shell((OVERLAY + CHROOT).format(**names), {**environment, "STEP": step}, f"RUN {rest[:120]} …")
        self._keep(layer)

    def _layer(self, step: str) -> tuple[Path, bool]:
        """The folder for what a step writes, and whether the step has yet to be run."""
        before = [layer.name for layer in self._stage.layers]
        key = hashlib.sha256(repr((self._base.name, before, step)).encode()).hexdigest()[:20]
        done = self._work / key
        self.used.add(done)
        if done.exists():
            self._stage.layers.append(done)
            return done, False
        part = self._work / f"{key}.part"
        if part.exists():
            subprocess.run(["rm", "-rf", "--one-file-system", str(part)], check=True)
        (part / "upper").mkdir(parents=True)
        return part, True

    def _keep(self, part: Path) -> None:
        done = part.with_suffix("")
        part.rename(done)
        self._stage.layers.append(done)


def _needed(stages: Mapping[str, list[tuple[str, str]]], target: str) -> list[str]:
    """A stage after those that it begins from or copies of; what stands before the first stage comes first."""
    found: list[str] = []
    for instruction, rest in stages[target]:
        first = rest.split()[0]
        copied = instruction == "COPY" and first.startswith("--from=")
        earlier = first.removeprefix("--from=")
        if (copied or instruction == "FROM") and earlier in stages:
            found += [each for each in _needed(stages, earlier) if each not in found]
    return [*found, target]


def instructions(text: str) -> list[tuple[str, str]]:
    """Each instruction with the rest of its line; comments and line ends are taken out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in joined.splitlines()]


def authorities() -> str:
    """The certificates that this machine trusts, in one file."""
    known = os.environ.get("SSL_CERT_FILE") or ssl.get_default_verify_paths().cafile
    return known or "/etc/ssl/certs/ca-certificates.crt"


def _shell(script: str, environment: Mapping[str, str], what: str) -> None:
    """Run a script whose mounts are in a namespace of its own, and end with it."""
    command = ["unshare", "--mount", "sh", "-ec", script]
    done = subprocess.run(command, env=dict(environment), capture_output=True, text=True, timeout=60 * RUN_MINUTES)
    if done.returncode:
        raise BuildError(f"{what} ended with {done.returncode}:\n{done.stderr[-1500:]}")


def _digest(paths: list[Path]) -> str:
    """Of the names, modes and contents of files, and of all files in folders."""
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted([path] if path.is_file() else path.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file} {file.stat().st_mode}".encode() + file.read_bytes())
    return digest.hexdigest()

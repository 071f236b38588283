"""The real Pulumi engine on a copy of the project: one stack, its commands, and what each of them did."""

import contextlib
import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from harness.build import Tool
from harness.process import SPARING

REPOSITORY = Path(__file__).resolve().parents[3]
PLUGINS = Path(__file__).resolve().parent / "plugins"
PROVIDERS = ("kubernetes", "docker", "random")
# What a stack's file may say beside `config:`, which the engine writes there itself.
STACK_FILES = {
    "dev": "Pulumi.dev.yaml",
    "prod": "Pulumi.prod.yaml",
    **{name: f"examples/{name}.yaml" for name in ("high-command", "websocket-server", "archon", "map-server", "mesh")},
}
PASSPHRASE = "only for tests"
NOTHING = frozenset({"same", "read"})
# For what takes a second where nobody else works.
PATIENT_SECONDS = 240


def official_plugins() -> bool:
    """Whether the official plugins are to be used, where this machine has them or can fetch them."""
    return os.environ.get("SLIPWAY_OFFICIAL_PLUGINS") == "1"


def make_project(folder: Path) -> Path:
    """A copy of the project in a repository of its own: what others do to the tree meanwhile is not part of it."""
    for name in ("infra", "app", "examples"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Pulumi.yaml", "Pulumi.README.md", "pyproject.toml", "uv.lock", "README.md"):
        shutil.copy2(REPOSITORY / name, folder / name)
    (folder / ".venv").symlink_to(REPOSITORY / ".venv")
    (folder / ".gitignore").write_text(".venv\nstacks/\n__pycache__\nPulumi.*.yaml\n", encoding="utf-8")
    (folder / "stacks").mkdir()
    if not official_plugins():
        project = yaml.safe_load((folder / "Pulumi.yaml").read_text(encoding="utf-8"))
        project["plugins"] = {"providers": [{"name": name, "path": str(PLUGINS)} for name in PROVIDERS]}
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project, sort_keys=False), encoding="utf-8")
    identity = ("-c", "user.name=tests", "-c", "user.email=tests@localhost")
    for command in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-q", "-m", "The project under test")):
        subprocess.run(("git", *command), cwd=folder, check=True, timeout=60, capture_output=True)
    return folder


@dataclass
class Done:
    """What a command did."""

    status: int
    output: str
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def fine(self) -> bool:
        return self.status == 0

    @property
    def changes(self) -> Counter[str]:
        """How many resources each operation concerned, without those that stayed as they were."""
        found: Counter[str] = Counter()
        for event in self.events:
            counted = (event.get("summaryEvent") or {}).get("resourceChanges") or {}
            found.update({name: count for name, count in counted.items() if name not in NOTHING and count})
        return found

    @property
    def errors(self) -> list[str]:
        """What the engine, the program and the providers said is wrong."""
        said = [event["diagnosticEvent"] for event in self.events if "diagnosticEvent" in event]
        if not self.events and self.output.startswith("{"):
            said = json.loads(self.output).get("diagnostics") or []
        return [entry["message"] for entry in said if entry["severity"] == "error"]

    def steps(self) -> dict[str, dict[str, Any]]:
        """Each resource's last step that is not `same`, by `Kind/name`."""
        found: dict[str, dict[str, Any]] = {}
        for event in self.events:
            metadata = (event.get("resOutputsEvent") or event.get("resourcePreEvent") or {}).get("metadata")
            if metadata and metadata["op"] not in NOTHING:
                name = metadata["urn"].rpartition("::")[2]
                found[f"{metadata['type'].rpartition(':')[2]}/{name}"] = metadata
        return found


@dataclass
class Engine:
    """Where the engine works: its state, its home, and the cluster that it acts on."""

    folder: Path
    kubeconfig: Path
    # Off where no kubelet is: then nothing ever becomes ready.
    wait: bool = True
    patience: float = 240
    # What is said of an object that there is no more use in waiting for, where an update is to fail.
    hopeless: str = ""
    # The image that stands for every built one, by digest, and the command that makes it known under another name.
    image: str = ""
    push: str = ""

    def environment(self) -> dict[str, str]:
        bins = [Tool("pulumi").folder / "bin", Tool("pulumi-language").folder / "bin"]
        state = self.folder / "state"
        state.mkdir(parents=True, exist_ok=True)
        given = {
            **SPARING,
            "KUBECONFIG": str(self.kubeconfig),
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            # Without it there is no log of events.
            "PULUMI_DEBUG_COMMANDS": "true",
            "PATH": os.pathsep.join([*map(str, bins), os.environ.get("PATH", "")]),
        }
        if not official_plugins():
            given |= {
                "PULUMI_HOME": str(self.folder / "home"),
                "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
                "SLIPWAY_TEST_PYTHON": sys.executable,
                "SLIPWAY_STAND_IN_WAIT": "on" if self.wait else "off",
                "SLIPWAY_STAND_IN_WAIT_SECONDS": str(self.patience),
                "SLIPWAY_STAND_IN_HOPELESS": self.hopeless,
                "SLIPWAY_TEST_IMAGE": self.image,
                "SLIPWAY_TEST_PUSH": self.push,
            }
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")}
        return {**inherited, **given}


class Stack:
    """One stack of the project, with the configuration of its file and whatever the tests lay over it."""

    def __init__(self, engine: Engine, project: Path, name: str, config: dict[str, Any]) -> None:
        self.engine = engine
        self.project = project
        self.name = name
        self.file = project / "stacks" / f"{name}.yaml"
        self._count = 0
        self.configure(config)
        self._cli("stack", "init", "--non-interactive", timeout=PATIENT_SECONDS).check()

    def configure(self, config: dict[str, Any]) -> None:
        """Write the stack's file. What the engine keeps there, such as its salt, stays."""
        before = yaml.safe_load(self.file.read_text(encoding="utf-8")) if self.file.exists() else {}
        self.config = config
        self.file.write_text(yaml.safe_dump({**before, "config": config}, sort_keys=False), encoding="utf-8")

    def change(self, overlay: Mapping[str, Any]) -> None:
        """Change values of the configuration; None takes a key out."""
        self.configure(laid_over(self.config, overlay))

    def set_secret(self, key: str, value: str) -> None:
        self._cli("config", "set", "--secret", "--path", key, value, timeout=PATIENT_SECONDS).check()
        self.config = yaml.safe_load(self.file.read_text(encoding="utf-8"))["config"]

    def preview(self, *, timeout: float = 900) -> "tuple[Done, Path]":
        """A preview, and the file that `pulumi preview --json` wrote."""
        self._count += 1
        done = self._cli("preview", "--json", timeout=timeout)
        path = self.engine.folder / f"{self.name}-preview-{self._count}.json"
        path.write_text(done.output, encoding="utf-8")
        return done, path

    def up(self, *, timeout: float = 1200) -> Done:
        return self._update("up", "--yes", "--skip-preview", timeout=timeout)

    def up_killed_after(self, resources: int, *, timeout: float = 300) -> None:
        """Begin an update, and kill the engine with all that it started once it has made so many resources."""
        self._count += 1
        log = self.engine.folder / f"{self.name}-{self._count}-killed.events"
        command, environment = self._command(
            "up", "--yes", "--skip-preview", "--non-interactive", "--event-log", str(log)
        )
        with (self.engine.folder / "killed.txt").open("w+b") as said:
            child = subprocess.Popen(
                command,
                cwd=self.project,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )
            end = time.monotonic() + timeout
            try:
                while not log.exists() or log.read_bytes().count(b'"resOutputsEvent"') < resources:
                    assert child.poll() is None, said.seek(0) or said.read().decode()
                    assert time.monotonic() < end, f"{resources} resources were not made within {timeout:.0f} s"
                    time.sleep(0.02)
            finally:
                _kill_session(child.pid)
                child.wait()

    def mend_state(self) -> None:
        """The engine writes a file's state whole or not at all, but not what it notes beside it."""
        for note in (self.engine.folder / "state").rglob("*.attrs"):
            if not note.stat().st_size:
                note.unlink()

    def unlock(self) -> None:
        """What a person does after an update that was killed: nobody else is at work, so its lock goes."""
        self._cli("cancel", "--yes", timeout=PATIENT_SECONDS).check()

    def begun(self) -> list[dict[str, Any]]:
        """What a killed update had begun to create, as the documentation lists it."""
        text = self._cli("stack", "export", timeout=PATIENT_SECONDS).check().output
        page = (REPOSITORY / "docs" / "killed-update.md").read_text(encoding="utf-8")
        script = page.partition("python3 -c '")[2].partition("'\n")[0]
        command = [sys.executable, "-c", textwrap.dedent(script)]
        listed = subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=30).stdout
        found: list[dict[str, Any]] = []
        for version, kind, namespace, name in map(str.split, listed.splitlines()):
            place = {} if namespace == "-" else {"namespace": namespace}
            found.append({"apiVersion": version, "kind": kind, "metadata": {**place, "name": name}})
        return found

    def forget_begun(self) -> Done:
        return self._update("refresh", "--yes", "--skip-preview", "--clear-pending-creates", timeout=900)

    def refresh(self, *, timeout: float = 900) -> Done:
        return self._update("refresh", "--yes", "--skip-preview", timeout=timeout)

    def destroy(self, *, timeout: float = 1200) -> Done:
        return self._update("destroy", "--yes", "--skip-preview", timeout=timeout)

    def unprotect(self) -> "Checked":
        return self._cli("state", "unprotect", "--all", "--yes", timeout=PATIENT_SECONDS)

    def outputs(self) -> dict[str, Any]:
        return json.loads(
            self._cli("stack", "output", "--json", "--show-secrets", timeout=PATIENT_SECONDS).check().output
        )

    def resources(self) -> list[dict[str, Any]]:
        """The state's resources, as `pulumi stack export` writes them."""
        text = self._cli("stack", "export", timeout=PATIENT_SECONDS).check().output
        return json.loads(text)["deployment"].get("resources") or []

    def _update(self, *arguments: str, timeout: float) -> Done:
        self._count += 1
        log = self.engine.folder / f"{self.name}-{self._count}-{arguments[0]}.events"
        done = self._cli(*arguments, "--non-interactive", "--event-log", str(log), timeout=timeout)
        if log.exists():
            done.events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines() if line]
        return done

    def _command(self, *arguments: str) -> tuple[list[str], dict[str, str]]:
        command = ["pulumi", *arguments, "--stack", self.name]
        if arguments[0] not in ("state", "stack", "cancel"):
            command += ["--config-file", str(self.file)]
        # The virtual environment knows the project under test by its own path: the copy comes first.
        return command, {**self.engine.environment(), "PYTHONPATH": str(self.project)}

    def _cli(self, *arguments: str, timeout: float) -> "Checked":
        command, environment = self._command(*arguments)
        with subprocess.Popen(
            command,
            cwd=self.project,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as child:
            try:
                output, errors = child.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                # The engine cancels what it is doing and writes its state; then it has had its chance.
                child.terminate()
                try:
                    output, errors = child.communicate(timeout=30)
                except subprocess.TimeoutExpired:
                    child.kill()
                    output, errors = child.communicate()
                errors += f"\nended by the tests after {timeout:.0f} s"
        text = output if output and arguments[0] in ("preview", "stack") else output + errors
        return Checked(child.returncode, text)


def _kill_session(session: int) -> None:
    """The engine gives its plugins process groups of their own, but not sessions."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.getsid(int(folder.name)) == session:
                os.kill(int(folder.name), signal.SIGKILL)


class Checked(Done):
    """A command that may be required to have succeeded."""

    def check(self) -> "Checked":
        if self.status:
            raise AssertionError(f"the engine ended with {self.status}:\n{self.output[-4000:]}")
        return self


def stack_config(name: str) -> dict[str, Any]:
    """What the repository ships for a stack."""
    return yaml.safe_load((REPOSITORY / STACK_FILES[name]).read_text(encoding="utf-8"))["config"]


def laid_over(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `overlay` in their places; None takes a key out."""
    result = copy.deepcopy(dict(base))
    for key, value in overlay.items():
        below = result.get(key)
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(below, Mapping):
            result[key] = laid_over(below, value)
        else:
            result[key] = copy.deepcopy(value)
    return result

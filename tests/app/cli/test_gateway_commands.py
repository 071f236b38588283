"""The gateway from a terminal: a real one, and the commands that start, show, call and stop servers in it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from click.testing import Result
from typer.testing import CliRunner

from app.cli._commands import app

ROOT = Path(__file__).parents[3]
# Packages are installed once and stay, so that only the first run fetches them.
PACKAGES = Path.home() / ".cache" / "slipway-tests" / "packages"


def clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("MCP_", "REDIS_", "MONGODB_"))}


class Gateway:
    """A running `slipway gateway`, and the commands that talk to it."""

    def __init__(self, folder: Path, config: str = "", **settings: str) -> None:
        self.config = folder / "gateway.yaml"
        self.config.write_text(config)
        self.log = folder / "gateway.log"
        command = [sys.executable, "-m", "app.cli", "gateway", "--config", str(self.config), "--port", "0"]
        environment = {**clean(), "MCP_PACKAGES_PATH": str(PACKAGES), "MCP_DRAIN_SECONDS": "1", **settings}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=ROOT)
        deadline = time.monotonic() + 60
        self.url = ""
        while not self.url:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            for line in self.log.read_text().splitlines():
                if line.startswith("{") and (told := json.loads(line)).get("event") == "serving":
                    self.url = told["address"].removesuffix("/mcp")
            time.sleep(0.05)

    def run(self, *words: str, status: int = 0, **settings: str) -> Result:
        environment = {"COLUMNS": "200", "MCP_GATEWAY_URL": self.url, "MCP_PACKAGES_PATH": str(PACKAGES), **settings}
        done = CliRunner().invoke(app, list(words), env=environment)
        assert done.exit_code == status, (words, done.stdout, done.stderr, self.log.read_text()[-2000:])
        return done

    def stop(self) -> list[psutil.Process]:
        """Ends it; what is left of its family afterwards."""
        family = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=40)
        return psutil.wait_procs(family, timeout=20)[1]


StartGateway = Callable[..., Gateway]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One for all tests, in which nothing is declared; each test stops what it started."""
    made = Gateway(tmp_path_factory.mktemp("gateway"))
    yield made
    assert made.stop() == []


@pytest.fixture
def start_gateway(tmp_path: Path) -> Iterator[StartGateway]:
    made: list[Gateway] = []

    def start(config: str = "", **settings: str) -> Gateway:
        made.append(Gateway(tmp_path, config, **settings))
        return made[-1]

    yield start
    assert [left for one in made for left in one.stop()] == []


def test_a_known_server_is_started_shown_called_and_stopped(gateway: Gateway) -> None:
    assert "There are no servers. Start one: slipway servers start time" in gateway.run("servers", "list").stderr
    started = gateway.run("servers", "start", "time")
    assert "mcp-server-time@" in started.stdout
    assert f"slipway call {gateway.url}/servers/time/mcp" in started.stderr
    assert "It ran already." in gateway.run("servers", "start", "time").stderr
    (shown,) = json.loads(gateway.run("servers", "list", "--json").stdout)
    assert (shown["id"], shown["phase"], shown["tools"]) == ("time", "ready", 2)
    assert "● ready" in gateway.run("servers", "list").stdout
    assert "answers" in gateway.run("servers", "status", "time").stdout
    gateway.run("servers", "logs", "time")
    alone = gateway.run("call", f"{gateway.url}/servers/time/mcp", "get_current_time", "timezone=UTC")
    union = gateway.run("call", f"{gateway.url}/mcp", "time_get_current_time", "timezone=UTC")
    assert '"timezone": "UTC"' in alone.stdout
    assert '"timezone": "UTC"' in union.stdout
    assert "time is stopped" in gateway.run("servers", "stop", "time").stderr
    assert gateway.run("servers", "list", "--json").stdout.strip() == "[]"


def test_what_cannot_be_started_is_told_with_the_option_that_helps(gateway: Gateway) -> None:
    slip = gateway.run("servers", "start", "tiem", status=1)
    assert "template: 'tiem' is unknown: did you mean time?" in slip.stderr
    secret = gateway.run("servers", "start", "brave-search", status=1)
    assert "BRAVE_API_KEY: is missing: A key of the Brave Search API." in secret.stderr
    assert "Here: --env-file with a file of the lines BRAVE_API_KEY=…" in secret.stderr
    path = gateway.run("servers", "start", "filesystem", status=1)
    assert "Here: --allowed-path /a/folder" in path.stderr
    registry = gateway.run("servers", "start", "x", "--package", "mcp-server-time", status=2)
    assert "write npm:mcp-server-time or pypi:mcp-server-time" in registry.stderr
    typo = gateway.run("servers", "start", "x", "--package", "npm:@modelcontextprotocol/server-filesytem", status=1)
    assert "Did you mean npm:@modelcontextprotocol/server-filesystem?" in typo.stderr
    shell = gateway.run("servers", "start", "x", "--package", "npm:x;reboot", status=1)
    assert "'x;reboot' is not the name of an npm package" in shell.stderr or "package: 'x;reboot'" in shell.stderr
    assert gateway.run("servers", "list", "--json").stdout.strip() == "[]"


def test_a_server_that_there_is_not_is_told_by_every_command(gateway: Gateway) -> None:
    for command in ("status", "logs", "stop"):
        assert "there is no server 'none': list the servers" in gateway.run("servers", command, "none", status=1).stderr
    call = gateway.run("call", f"{gateway.url}/servers/none/mcp", status=3)
    assert "there is no server 'none': list the servers" in call.stderr


def test_a_gateway_that_does_not_answer_is_told_with_the_remedy(gateway: Gateway) -> None:
    away = gateway.run("servers", "list", "--gateway", "http://127.0.0.1:9", status=3)
    assert "no gateway answers at http://127.0.0.1:9" in away.stderr
    assert "start one with `slipway gateway`" in away.stderr


def test_rules_of_the_file_and_of_the_environment_are_kept(start_gateway: StartGateway) -> None:
    rules = 'packages: { block: ["npm:@modelcontextprotocol/server-everything"] }\nsecurity: { allowUv: false }\n'
    gateway = start_gateway(rules, MCP_ALLOW_NPX="true")
    blocked = gateway.run("servers", "start", "everything", status=1)
    assert "is forbidden by the block rule 'npm:@modelcontextprotocol/server-everything'" in blocked.stderr
    assert "MCP_ALLOW_UV=false does not allow" in gateway.run("servers", "start", "time", status=1).stderr
    check = ("packages", "check", "npm:@modelcontextprotocol/server-everything", "--config", str(gateway.config))
    assert "may not run" in gateway.run(*check, status=1).stdout


def test_npx_is_refused_where_the_environment_does_not_allow_it(start_gateway: StartGateway) -> None:
    gateway = start_gateway(MCP_ALLOW_NPX="false")
    assert "MCP_ALLOW_NPX=false does not allow" in gateway.run("servers", "start", "memory", status=1).stderr


def test_the_file_is_followed_and_what_it_declares_is_changed_there_only(start_gateway: StartGateway) -> None:
    gateway = start_gateway("servers:\n  own: { type: archon, transport: stdio }\n")
    with httpx.Client(base_url=gateway.url, timeout=90) as client:
        assert client.get("/servers/own?wait=60").json()["phase"] == "ready"
        stop = gateway.run("servers", "stop", "own", status=1)
        assert "own is declared in the configuration file: remove it there" in stop.stderr
        gateway.config.write_text("servers: {}\n")
        deadline = time.monotonic() + 30
        while client.get("/servers").json():
            assert time.monotonic() < deadline
            time.sleep(0.1)


def test_a_file_with_mistakes_is_told_by_field_and_nothing_starts(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("servers:\n  a: { template: time, tpye: uv }\nsecurty: {}\n")
    done = CliRunner().invoke(app, ["gateway", "--config", str(file), "--port", "0"], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert "servers.a.tpye" in done.stderr
    assert "securty" in done.stderr
    none = CliRunner().invoke(app, ["gateway", "--config", str(tmp_path / "none"), "--port", "0"])
    assert (none.exit_code, "cannot be read" in none.stderr) == (2, True)


def test_templates_are_listed_searched_shown_and_written(gateway: Gateway) -> None:
    assert len(json.loads(gateway.run("templates", "list", "--json").stdout)) >= 20
    assert "postgres" in gateway.run("templates", "search", "postgresql").stdout
    gateway.run("templates", "search", "nothing-like-this", status=1)
    assert "BRAVE_API_KEY" in gateway.run("templates", "show", "braveSearch").stdout
    assert "did you mean time?" in gateway.run("templates", "show", "tiem", status=2).stderr
    written = gateway.run("templates", "config", "brave-search").stdout
    assert "pulumi config set --secret --path slipway:secrets.braveApiKey" in written
    assert (
        "give stack, gateway, rest, cli" in gateway.run("templates", "config", "time", "--format", "x", status=2).stderr
    )
    assert "it has LOCAL_TIMEZONE" in gateway.run("templates", "config", "time", "--set", "X=1", status=2).stderr


def test_packages_are_shown_and_judged_and_mistakes_have_their_exit_status(gateway: Gateway) -> None:
    shown = gateway.run("packages", "show", "pypi:mcp-server-time", "--json")
    told = json.loads(shown.stdout)
    assert (told["package"], told["license"], bool(told["integrity"])) == ("pypi:mcp-server-time", "MIT", True)
    assert "may run" in gateway.run("packages", "check", "npm:@modelcontextprotocol/server-memory").stdout
    refused = gateway.run("packages", "check", "pypi:mcp-server-time", "--block", "pypi:tzdata", status=1)
    assert "pypi:tzdata" in refused.stdout
    assert "write npm:name or pypi:name" in gateway.run("packages", "show", "left-pad", status=2).stderr
    assert "is not one exact version" in gateway.run("packages", "check", "npm:x@^1", status=2).stderr
    away = {"NPM_CONFIG_REGISTRY": "http://127.0.0.1:9/"}
    assert "check the network" in gateway.run("packages", "show", "npm:x", status=3, **away).stderr

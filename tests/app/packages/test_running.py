"""`slipway packages run`, by which pods start packages: exactly what was pinned, and nothing of how it was fetched."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

TOKEN = "t0ken-of-this-test"
PRINT_ENVIRONMENT = "console.log(JSON.stringify({environment: process.env, words: process.argv.slice(2)}))"


@pytest.fixture
def run(registry, tmp_path):
    """Runs a package in a process of its own, with a registry that asks for a token."""
    registry.token = f"Bearer {TOKEN}"
    declared = {"npm": [{"url": registry.url, "tokenVariable": "ACME_TOKEN"}]}

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "MCP_PACKAGES_PATH": str(tmp_path / "packages"),
            "MCP_PACKAGE_REGISTRIES": json.dumps(declared),
            "npm_config_fetch_retries": "0",
            "ACME_TOKEN": TOKEN,
            "ITS_OWN": "of the server",
            "UV_DEFAULT_INDEX": f"https://ci:{TOKEN}@pypi.example/simple",
            **more,
        }
        command = [sys.executable, "-m", "app.cli", "packages", "run", *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)

    return run


@pytest.fixture
def package(registry, make_tarball) -> tuple[str, ...]:
    """One that tells its environment, as words of the command."""
    body = make_tarball("@acme/server", "1.0.0", PRINT_ENVIRONMENT)
    made = registry.add_npm("@acme/server", "1.0.0", body=body)
    return ("npm:@acme/server@1.0.0", "--integrity", made["dist"]["integrity"])


def test_a_pinned_package_is_fetched_with_its_token_and_runs_without(run, package, registry):
    done = run(*package, "--", "--root", "$(a b)")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["words"] == ["--root", "$(a b)"]
    assert said["environment"]["ITS_OWN"] == "of the server"
    assert TOKEN not in done.stdout + done.stderr
    assert "MCP_PACKAGE_REGISTRIES" not in said["environment"]
    assert {token for _, token in registry.asked} == {f"Bearer {TOKEN}"}


def test_a_wrong_token_is_told_with_the_registrys_answer_and_without_the_token(run, package):
    done = run(*package, ACME_TOKEN="wr0ng-token")
    assert done.returncode == 1
    assert "401" in done.stderr
    assert "wr0ng-token" not in done.stdout + done.stderr


def test_a_package_that_is_not_pinned_does_not_run(run):
    done = run("npm:@acme/server@1.0.0")
    assert done.returncode == 2
    assert "give its version and --integrity" in done.stderr

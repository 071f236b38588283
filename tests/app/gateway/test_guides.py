"""What the pages about the gateway show is what happens."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer
import yaml

from app.cli._commands import app
from app.gateway.manager.declaration import read_declaration
from app.gateway.templates import builtin, from_folder
from app.packages.declared_registries import declared_registries
from app.packages.policy import Policy
from app.packages.registries import read_registries

ROOT = Path(__file__).parents[3]
PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text("utf-8") for name in ("gateway", "packages", "templates")}
PAGES["README"] = (ROOT / "README.md").read_text("utf-8")
CACHE = Path.home() / ".cache" / "slipway-tests" / "packages"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGES[page], re.DOTALL)


def shown_commands() -> list[str]:
    lines = (line for page in PAGES for block in blocks(page, "sh") for line in block.splitlines())
    return sorted({match[1].strip() for line in lines if (match := re.match(r"(?:\.venv/bin/)?slipway ([^#]*)", line))})


@pytest.mark.parametrize("shown", shown_commands())
def test_every_command_that_a_page_shows_is_understood(shown):
    command: click.Command = typer.main.get_command(app)
    context, words = None, shlex.split(shown)
    while isinstance(command, click.Group):
        context = command.make_context("slipway", words, parent=context)
        name, found, words = command.resolve_command(context, [*context._protected_args, *context.args])
        assert name
        assert found is not None
        command = found
    command.make_context("slipway", words, parent=context)


def test_the_python_that_the_page_shows_runs(tmp_path):
    (shown,) = blocks("gateway", "python")
    script = tmp_path / "shown.py"
    script.write_text(shown)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MCP_", "REDIS_"))}
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**environment, "MCP_PACKAGES_PATH": str(CACHE), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    assert "Started server: time with 2 tools" in done.stdout
    assert "Europe/Vienna" in done.stdout
    assert "'healthy': True" in done.stdout


def test_the_gateways_file_that_the_page_shows_has_no_mistake():
    (shown,) = blocks("gateway", "yaml")
    found = read_declaration("gateway.yaml", shown)
    assert set(found.servers) == {"time", "everything", "files", "weather"}
    assert set(found.virtual) == {"clock"}


def test_the_rules_and_the_registries_that_the_page_shows_can_be_read(tmp_path):
    rules, registries, _ = blocks("packages", "yaml")
    Policy(**yaml.safe_load(rules)["packages"])
    token = tmp_path / "token"
    token.write_text("t")
    file = tmp_path / "registries.yaml"
    file.write_text(registries.replace("/var/run/secrets/npm/token", str(token)))
    found = read_registries({"ACME_PYPI_TOKEN": "p"}, home=tmp_path, own=declared_registries(file=file))
    assert found.of_npm("@acme/x").headers == {"authorization": "Bearer t"}
    assert found.indexes[0].url == "https://pypi.acme.example/simple"


def test_the_template_that_the_page_shows_can_be_used(tmp_path):
    (shown,) = blocks("templates", "yaml")
    (tmp_path / "harbour.yaml").write_text(shown)
    assert [template.name for template in from_folder(tmp_path)] == ["harbour"]


def test_the_page_names_every_template_and_which_are_deprecated():
    table = PAGES["templates"].partition("<!-- templates -->")[2].partition("Deprecated ones")[0]
    shown = {match[1]: bool(match[2]) for match in re.finditer(r"`([^`]+)`( \(deprecated\))?", table)}
    assert shown == {name: template.deprecated is not None for name, template in builtin().items()}

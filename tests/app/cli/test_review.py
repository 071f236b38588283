import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from app.cli.review import register

FIXTURE = Path(__file__).parents[1] / "review/fixtures/storage-size.json"


@pytest.fixture
def run():
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    return lambda *words, stdin=None: CliRunner().invoke(app, ["review", *words], input=stdin)


@pytest.fixture
def harmless(tmp_path):
    file = tmp_path / "preview.json"
    file.write_text(json.dumps({"steps": [], "changeSummary": {"same": 7}}))
    return str(file)


def test_a_preview_that_loses_nothing_passes(run, harmless):
    result = run(harmless)
    assert result.exit_code == 0
    assert "No changes; 7 objects stay as they are." in result.stdout


def test_a_preview_that_loses_data_prints_its_summary_and_fails(run):
    result = run(str(FIXTURE))
    assert result.exit_code == 1
    assert "## Preview of `prod`" in result.stdout
    assert "Data would be lost; see the summary" in result.stderr


def test_an_allowance_lets_it_pass(run):
    assert run(str(FIXTURE), "--allow", "redis-server").exit_code == 0


def test_the_title_is_the_callers(run, harmless):
    assert "## Preview of `eu-1`" in run(harmless, "--title", "eu-1").stdout


def test_a_preview_may_come_on_standard_input(run):
    assert run("-", stdin=FIXTURE.read_bytes()).exit_code == 1


def test_a_missing_file_is_named(run, tmp_path):
    result = run(str(tmp_path / "nowhere.json"))
    assert result.exit_code == 2
    assert "nowhere.json: No such file or directory." in result.stderr
    assert result.stdout == ""


def test_an_unreadable_file_is_explained(run, tmp_path):
    file = tmp_path / "preview.json"
    file.write_text("error: no stack selected")
    result = run(str(file))
    assert result.exit_code == 2
    assert "it is not JSON" in result.stderr


def test_a_failed_preview_is_no_approval(run, tmp_path):
    file = tmp_path / "preview.json"
    file.write_text(json.dumps({"steps": [], "diagnostics": [{"severity": "error", "message": "no"}]}))
    assert run(str(file)).exit_code == 2


def test_a_review_needs_neither_pulumi_nor_the_infrastructure_program():
    unwanted = "{name.partition('.')[0] for name in sys.modules} & {'pulumi', 'infra'}"
    program = f"import sys, app.cli.review, app.review; sys.exit(bool({unwanted}))"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0


def test_the_command_is_one_of_slipways():
    help_text = subprocess.run([sys.executable, "-m", "app.cli", "review", "--help"], capture_output=True, text=True)
    assert help_text.returncode == 0
    assert "--allow" in help_text.stdout

"""Rules of the house that no linter knows."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
MAX_LINES = 320
# One module reads the environment; another writes one variable that a library reads.
TOUCHES_ENVIRONMENT = {"app/settings.py", "app/cli/_start.py"}


def tracked(*patterns: str) -> list[Path]:
    """Files that git has, or would have."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return [REPOSITORY / line for line in listed.stdout.splitlines() if (REPOSITORY / line).is_file()]


def named(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def test_no_module_is_two_modules():
    long = {
        named(path): len(path.read_text(encoding="utf-8").splitlines()) for path in tracked("app/*.py", "infra/*.py")
    }
    assert {name: lines for name, lines in long.items() if lines > MAX_LINES} == {}


def test_only_settings_reads_the_environment():
    reading = {
        named(path)
        for path in tracked("app/*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and node.attr in ("environ", "getenv")
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    }
    assert reading <= TOUCHES_ENVIRONMENT


def test_only_the_config_package_reads_pulumi_config():
    reading = [named(path) for path in tracked("infra/*.py") if "pulumi.Config(" in path.read_text(encoding="utf-8")]
    assert [name for name in reading if not name.startswith("infra/config/")] == []


def test_nothing_is_left_for_later():
    marks = re.compile(r"\b(TODO|FIXME|XXX)\b")
    found = [
        f"{named(path)}:{number}"
        for path in tracked("app/*.py", "infra/*.py", "tests/*.py", "bench/*.py")
        if path.name != Path(__file__).name
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if marks.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("path", tracked("*.md"), ids=named)
def test_every_link_of_a_page_leads_somewhere(path):
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    inside = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in inside if not (path.parent / link).exists()] == []

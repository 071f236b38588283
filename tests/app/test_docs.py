"""What the pages show is what happens."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGES = [path for path in REPOSITORY.glob("**/*.md") if not {".venv", "node_modules"} & set(path.parts)]
# A call of the local server as any page shows it, without the comment behind it.
CALL = re.compile(r"^(?:\.venv/bin/)?slipway (call http://127\.0\.0\.1:8000/[^#\n]*)", re.MULTILINE)
NEEDS_THE_WORLD = ("get_planets", "web_search", "fetch_page")


def shown_calls() -> list[str]:
    found = {call.strip() for page in PAGES for call in CALL.findall(page.read_text(encoding="utf-8"))}
    return sorted(call for call in found if not any(tool in call for tool in NEEDS_THE_WORLD))


@pytest.fixture(scope="module")
def server(start_shared_slipway):
    return start_shared_slipway(MCP_TOOLSETS="platform,map,documents")


@pytest.mark.parametrize("call", shown_calls())
def test_a_call_that_a_page_shows_works(server, call):
    command = shlex.split(call.replace("http://127.0.0.1:8000", server.url))
    done = subprocess.run([sys.executable, "-m", "app.cli", *command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_readme_shows_a_call():
    assert "call http://127.0.0.1:8000/mcp echo text=hello" in shown_calls()


@pytest.mark.parametrize("page", [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_every_make_target_that_a_page_shows_exists(page):
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    shown = set(re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE))
    assert shown - targets == set()

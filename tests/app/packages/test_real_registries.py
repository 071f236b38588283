"""The registries that this machine is configured to use: that what is read fits what they really answer."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.packages.policy import Policy
from app.packages.registries import read_registries
from app.packages.shelf import Shelf
from app.resilience.http import HttpClient


@pytest.fixture
async def real() -> AsyncIterator[Shelf]:
    client = HttpClient("slipway/test")
    yield Shelf(client, read_registries(os.environ, home=Path.home()))
    await client.close()


@pytest.mark.parametrize(
    ("ecosystem", "name", "dependency"),
    [
        ("npm", "@modelcontextprotocol/server-everything", "@modelcontextprotocol/sdk"),
        ("pypi", "mcp-server-time", "mcp"),
    ],
)
async def test_a_real_server_is_chosen_with_its_hash_programs_and_dependencies(real, ecosystem, name, dependency):
    release = await real.choose(ecosystem, name, None, Policy())
    assert release.integrity
    assert release.integrity.startswith(("sha512-", "sha256:"))
    assert dependency in release.dependencies
    package = await real.package(ecosystem, name)
    assert package.latest in package.releases
    assert package.last_release
    assert package.license
    assert len(package.releases) > 3


async def test_a_real_block_list_reaches_a_real_dependency(real):
    tree = await real.dependencies("npm", "cors", await real.choose("npm", "cors", None, Policy()))
    assert tree.complete
    (refusal,) = tree.refusals("npm", Policy(block=["npm:vary@>=1"]))
    assert "npm:vary" in str(refusal)
    assert "a dependency: cors" in str(refusal)

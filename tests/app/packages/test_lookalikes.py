"""Names that look like a known one."""

from __future__ import annotations

import pytest

from app.cli._packages import known_packages
from app.gateway.templates import Templates
from app.packages.lookalikes import Lookalikes


@pytest.fixture(scope="module")
def lookalikes() -> Lookalikes:
    return Lookalikes((item.ecosystem, item.name) for item in known_packages(Templates()))


@pytest.mark.parametrize(
    ("ecosystem", "name", "why"),
    [
        ("npm", "@modelcontextprotocol/server-filesytem", "is one slip from @modelcontextprotocol/server-filesystem"),
        ("npm", "@modelcontextprotocol/server-memroy", "is one slip from @modelcontextprotocol/server-memory"),
        ("npm", "@modelcontextprotocl/server-memory", "has the name, but not the scope, of"),
        ("npm", "server-filesystem", "has the name, but not the scope, of"),
        ("npm", "modelcontextprotocol-server-memory", "differs only in separators or its scope from"),
        ("npm", "tavi1y-mcp", "looks the same as tavily-mcp"),
        ("npm", "tavilymcp", "differs only in separators"),
        ("npm", "mcp-server-fetch", "is known in the other registry"),
        ("pypi", "mcp-server-tirne", "looks the same as mcp-server-time"),
        ("pypi", "mcp-servers-fetch", "is one slip from mcp-server-fetch"),
        ("pypi", "fast-mcp", "differs only in separators"),
        ("pypi", "exa-mcp-server", "is known in the other registry"),
    ],
)
def test_a_name_that_looks_like_a_known_one_is_warned_of(lookalikes, ecosystem, name, why):
    assert why in (lookalikes.warning(ecosystem, name) or "")


@pytest.mark.parametrize("name", ["zod", "express", "@acme/mcp", "my-own-server", "@modelcontextprotocol/server-map"])
def test_other_names_are_not_warned_of(lookalikes, name):
    assert lookalikes.warning("npm", name) is None


def test_no_package_of_a_template_is_warned_of(lookalikes):
    assert [lookalikes.warning(item.ecosystem, item.name) for item in known_packages(Templates())] == [None] * len(
        known_packages(Templates())
    )

"""The page at `/`: everything escaped, nothing from elsewhere, a form that fits each schema."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.content import ToolDefinition
from app.web.page import Facts, render_page, render_tools

NASTY = "</code><script>alert(1)</script>\"'&"


def facts(**changes: Any) -> Facts:
    told: dict[str, Any] = {
        "service": "slipway",
        "version": "1",
        "toolsets": ["platform"],
        "stores": {"sessions": "memory"},
        "revisions": ["2024-11-05", "2026-07-28"],
        "base": "http://localhost:8000",
        "wants_token": False,
    }
    return Facts(**{**told, **changes})


def tool(properties: dict[str, Any], *required: str, name: str = "t", **extra: Any) -> ToolDefinition:
    return ToolDefinition(
        name=name, input_schema={"type": "object", "properties": properties, "required": list(required), **extra}
    )


class Elements(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]

    def named(self, name: str) -> tuple[str, dict[str, str | None]]:
        return next((tag, attributes) for tag, attributes in self.found if attributes.get("name") == name)


def test_nothing_is_fetched_from_elsewhere() -> None:
    page = Elements(render_page(facts(), [tool({"a": {"type": "string"}})]))
    addresses = [attributes.get(key) for _, attributes in page.found for key in ("src", "href") if attributes.get(key)]
    assert addresses
    assert all(not re.match(r"(https?:)?//", str(address)) for address in addresses)
    for asset in ("page.css", "page.js"):
        text = files("app.web").joinpath("static", asset).read_text("utf-8")
        assert "http://" not in text
        assert "https://" not in text
        assert "@import" not in text


def test_what_comes_from_outside_is_escaped() -> None:
    nasty = tool({NASTY: {"type": "string", "description": NASTY, "default": NASTY, "enum": [NASTY]}}, name=NASTY)
    nasty.title = nasty.description = NASTY
    html = render_page(facts(service=NASTY, base=f"http://{NASTY}", toolsets=[NASTY], stores={NASTY: NASTY}), [nasty])
    assert len(Elements(html).all("script")) == 1


def tags(name: str, description: str) -> list[str]:
    html = render_tools([tool({"a": {"type": "string", "description": description}}, name=name)])
    return [tag for tag, _ in Elements(html).found]


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_text_makes_elements_of_its_own(name: str, description: str) -> None:
    assert tags(name, description) == tags("plain", "plain")


@pytest.mark.parametrize(
    ("schema", "tag", "kind"),
    [
        ({"type": "string"}, "input", "string"),
        ({"type": "integer"}, "input", "integer"),
        ({"type": "number", "minimum": 0, "maximum": 60}, "input", "number"),
        ({"type": "boolean"}, "input", "boolean"),
        ({"enum": ["a", "b"]}, "select", "enum"),
        ({"type": "array", "items": {"type": "string"}}, "textarea", "json"),
        ({"type": "object"}, "textarea", "json"),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, "input", "integer"),
        ({"$ref": "#/$defs/Colour"}, "select", "enum"),
        ({}, "textarea", "json"),
        (True, "textarea", "json"),
    ],
)
def test_each_schema_has_the_control_that_fits(schema: Any, tag: str, kind: str) -> None:
    html = render_tools([tool({"a": schema}, **{"$defs": {"Colour": {"enum": ["red", "green"]}}})])
    found, attributes = Elements(html).named("a")
    assert (found, attributes["data-kind"]) == (tag, kind)


def test_each_control_has_a_label_and_its_description() -> None:
    page = Elements(render_tools([tool({"a": {"type": "string", "description": "What to say"}}, "a")]))
    _, control = page.named("a")
    assert control["id"] in [label.get("for") for label in page.all("label")]
    assert control["aria-describedby"] in [small.get("id") for small in page.all("small")]
    assert "required" in control


def test_a_parameter_that_is_mirrored_into_a_header_says_so() -> None:
    _, control = Elements(render_tools([tool({"a": {"type": "string", "x-mcp-header": "Region"}})])).named("a")
    assert control["data-header"] == "Region"


def test_a_mirrored_client_setting_is_json_and_a_command_can_be_pasted() -> None:
    html = render_page(facts(), [tool({"text": {"type": "string"}}, "text", name="echo")])
    codes = re.findall(r"<pre><code>(.*?)</code></pre>", html)
    assert "slipway call http://localhost:8000/mcp echo text=hello" in codes
    settings = codes[-1].replace("&quot;", '"')
    assert json.loads(settings)["mcpServers"]["slipway"]["url"] == "http://localhost:8000/mcp"


def test_with_tokens_the_tools_are_not_shown_until_one_is_given() -> None:
    page = Elements(render_page(facts(wants_token=True), [tool({}, name="secret_tool")]))
    assert not any(attributes.get("data-tool") for _, attributes in page.found)
    assert any(attributes.get("id") == "token-form" for _, attributes in page.found)


def test_no_tools_at_all_is_said() -> None:
    assert "MCP_TOOLSETS" in render_tools([])


def test_a_gateway_shows_its_servers_and_another_server_none() -> None:
    page = render_page(facts(has_servers=True), [])
    assert '<table id="servers">' in page
    assert "No tools yet: they come with the servers" in page
    assert 'id="servers"' not in render_page(facts(), [])

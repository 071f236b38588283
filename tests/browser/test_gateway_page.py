"""The page of a gateway in a browser: its servers as they come, fail and go."""

from __future__ import annotations

import re

import httpx
from playwright.sync_api import expect

OWN = {"type": "archon", "transport": "stdio"}


def test_servers_appear_with_their_state_tools_and_reason_and_go(open_page, make_server):
    gateway = make_server("gateway")
    page = open_page("/", of=gateway).page
    expect(page.locator("#servers-now")).to_have_text("No servers yet. Start one: slipway servers start time")
    expect(page.locator("#servers")).to_be_hidden()
    with httpx.Client(base_url=gateway.url, timeout=60) as client:
        assert client.post("/servers?wait=60", json={"name": "own", **OWN}).json()["phase"] == "ready"
        lost = {"name": "lost", "type": "remote", "url": "http://127.0.0.1:9/mcp"}
        assert client.post("/servers?wait=60", json=lost).json()["phase"] == "failed"
        rows = page.locator("#servers tbody tr")
        expect(rows).to_have_count(2, timeout=20_000)
        expect(page.locator("#servers-now")).to_have_text("1 of 2 ready")
        own = rows.filter(has_text="own")
        expect(own.locator("td").first).to_have_attribute("data-phase", "ready")
        expect(own.locator("td").nth(1)).to_have_text(re.compile("[1-9]"))
        expect(rows.filter(has_text="lost")).to_contain_text("Connection refused")
        assert client.delete("/servers/lost").status_code == 204
        expect(rows).to_have_count(1, timeout=20_000)

"""The registry's page: plain, safe, whole without any other place, and drawn from a bounded answer."""

from __future__ import annotations

import re
from typing import Any

from app.mesh.registry.page import Shown, render


async def test_the_page_names_its_replica_and_loads_nothing_from_elsewhere(serve_registry: Any) -> None:
    registry = await serve_registry(REGISTRY_ID="registry-7")
    page = await registry.http.get("/")
    assert "registry-7" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert re.findall(r"https?://", page.text) == []
    for path in re.findall(r'"(page/[^"]+)"', page.text):
        answer = await registry.http.get(f"/{path}")
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert (await registry.http.get("/page/page.css")).status_code == 404
    assert (await registry.http.get("/agents")).headers["slipway-registry"] == "registry-7"


def test_a_name_cannot_become_markup() -> None:
    html = render(Shown("<b>", "<script>alert(1)</script>", "1", "redis"))
    assert "<script>alert" not in html
    assert "<b>" not in html


async def test_what_is_drawn_is_bounded_and_shows_who_is_not_well_first(
    registry: Any, body: Any, eventually: Any
) -> None:
    for number in range(350):
        await registry.register(body(replica=f"r{number}", healthInterval=60))
    made = (await registry.register(body(replica="silent"))).json()

    async def unwell() -> bool:
        return (await registry.http.get(f"/agents/{made['id']}")).json()["state"] != "healthy"

    await eventually(unwell)
    overview = (await registry.http.get("/overview")).json()
    (capability,) = overview["capabilities"]
    assert overview["counts"]["healthy"] == 350
    assert overview["counts"]["degraded"] + overview["counts"]["gone"] == 1
    assert len(capability["agents"]) == 300
    assert capability["agents"][0]["replica"] == "silent"


async def test_a_page_that_has_seen_all_is_not_sent_it_again(registry: Any, body: Any) -> None:
    await registry.register(body(healthInterval=60))
    first = await registry.http.get("/overview")
    again = await registry.http.get("/overview", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304

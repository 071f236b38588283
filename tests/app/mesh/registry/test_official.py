"""The read side of the official registry's API, as its clients use it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from app.version import VERSION

OFFICIAL = "io.modelcontextprotocol.registry/official"


@pytest.fixture
async def filled(registry: Any, body: Any) -> Any:
    """Seven agents, the first in two versions."""
    for number in range(7):
        offered = [{"name": "greeting", "version": "1.0.0"}]
        await registry.register(
            body(
                name=f"agent-{number}", replica="a", capabilities=offered, endpoint=f"http://127.0.0.1:{9000 + number}"
            )
        )
    await registry.register(body(name="agent-0", replica="b", metadata={"version": "1.10.0"}))
    await registry.register(body(name="agent-0", replica="c", metadata={"version": "1.9.0"}))
    return registry


async def servers(registry: Any, query: str = "", root: str = "/v0") -> dict[str, Any]:
    answer = await registry.http.get(f"{root}/servers{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("root", ["/v0", "/v0.1"])
async def test_a_server_is_told_as_the_specification_says(filled: Any, root: str) -> None:
    found = await servers(filled, "?search=agent-3", root)
    (one,) = found["servers"]
    assert found["metadata"] == {"count": 1}
    assert one["server"]["name"] == "io.mcp.mesh/agent-3"
    assert one["server"]["version"] == "1.0.0"
    assert 1 <= len(one["server"]["description"]) <= 100
    assert one["server"]["remotes"] == [{"type": "streamable-http", "url": "http://127.0.0.1:9003/mcp"}]
    official = one["_meta"][OFFICIAL]
    assert (official["status"], official["isLatest"]) == ("active", True)
    assert datetime.fromisoformat(official["publishedAt"]) <= datetime.fromisoformat(official["updatedAt"])


async def test_a_list_is_read_by_its_cursors_without_a_gap(filled: Any) -> None:
    seen: list[tuple[str, str]] = []
    query = "?limit=2"
    while True:
        page = await servers(filled, query)
        seen += [(one["server"]["name"], one["server"]["version"]) for one in page["servers"]]
        if "nextCursor" not in page["metadata"]:
            break
        query = f"?limit=2&cursor={page['metadata']['nextCursor']}"
    assert len(seen) == len(set(seen)) == 9


async def test_the_latest_version_is_the_highest_one(filled: Any) -> None:
    latest = await servers(filled, "?version=latest&search=AGENT-0")
    assert [one["server"]["version"] for one in latest["servers"]] == ["1.10.0"]
    exact = await servers(filled, "?version=1.9.0")
    assert [one["server"]["name"] for one in exact["servers"]] == ["io.mcp.mesh/agent-0"]


@pytest.mark.parametrize("name", ["io.mcp.mesh%2Fagent-0", "io.mcp.mesh/agent-0"])
async def test_versions_are_listed_newest_first_and_read_one_by_one(filled: Any, name: str) -> None:
    listed = await servers(filled, f"/{name}/versions")
    assert [one["server"]["version"] for one in listed["servers"]] == ["1.10.0", "1.9.0", "1.0.0"]
    assert [one["_meta"][OFFICIAL]["isLatest"] for one in listed["servers"]] == [True, False, False]
    assert (await servers(filled, f"/{name}/versions/latest"))["server"]["version"] == "1.10.0"
    assert (await servers(filled, f"/{name}/versions/1.9.0"))["server"]["version"] == "1.9.0"


@pytest.mark.parametrize(
    "path",
    [
        "/io.mcp.mesh%2Fnobody/versions",
        "/io.mcp.mesh%2Fagent-0/versions/9.9.9",
        "/com.example%2Fagent-0/versions/latest",
        "/io.mcp.mesh%2Fagent-0/else",
    ],
)
async def test_what_is_not_there_is_404(filled: Any, path: str) -> None:
    assert (await filled.http.get(f"/v0/servers{path}")).status_code == 404


async def test_what_an_agent_can_do_is_searched_too(filled: Any, body: Any) -> None:
    offered = [{"name": "translate", "version": "1.0.0"}]
    await filled.register(body(name="polyglot", replica="p", capabilities=offered))
    found = (await servers(filled, "?search=TransL"))["servers"]
    assert [one["server"]["name"] for one in found] == ["io.mcp.mesh/polyglot"]
    assert (await servers(filled, "?search=polygl"))["servers"] == found


@pytest.mark.parametrize(
    ("path", "told"), [("ping", {"pong": True}), ("health", {"status": "ok"}), ("version", {"version": VERSION})]
)
async def test_clients_that_look_whether_it_is_there_are_answered(registry: Any, path: str, told: Any) -> None:
    assert (await registry.http.get(f"/v0/{path}")).json() == told
    assert (await registry.http.get(f"/v0.1/{path}")).json() == told


async def test_who_reads_what_changed_since_is_told_of_those_that_are_gone(
    filled: Any, body: Any, eventually: Any
) -> None:
    async def gone() -> bool:
        return (await servers(filled))["servers"] == []

    await eventually(gone)
    hour = timedelta(hours=1)
    before = (datetime.now(UTC) - hour).isoformat().replace("+00:00", "Z")
    after = (datetime.now(UTC) + hour).isoformat().replace("+00:00", "Z")
    one = f"/v0/servers/{quote('io.mcp.mesh/agent-3', safe='')}/versions/latest"
    assert (await filled.http.get(one)).status_code == 404
    told = await filled.http.get(one, params={"include_deleted": "true"})
    assert told.json()["_meta"][OFFICIAL]["status"] == "deleted"
    assert len((await servers(filled, "?include_deleted=true"))["servers"]) == 9
    changed = (await servers(filled, f"?updated_since={before}"))["servers"]
    assert {one["_meta"][OFFICIAL]["status"] for one in changed} == {"deleted"}
    assert (await servers(filled, f"?updated_since={after}"))["servers"] == []

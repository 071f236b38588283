"""The registry's API over real HTTP: registering, heartbeats, lookups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

OWN_TOKEN = "chosen-by-the-agent-and-long-enough-0123"


async def test_a_registration_is_answered_with_what_the_agent_needs(registry: Any, body: Any) -> None:
    answer = await registry.register(body())
    made = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/agents/{made['id']}"
    assert made["interval"] == 1
    assert len(made["token"]) >= 32
    agent = (await registry.http.get(f"/agents/{made['id']}")).json()
    assert agent == {
        "id": made["id"],
        "name": "hello",
        "replica": "hello-0",
        "endpoint": "http://127.0.0.1:9000",
        "state": "healthy",
        "healthInterval": 1,
        "registered": agent["registered"],
        "changed": agent["registered"],
        "capabilities": [{"name": "greeting", "version": "1.2.0", "timeout": 30, "tags": []}],
        "dependencies": [],
        "metadata": {},
        "load": None,
    }


async def test_the_same_again_with_the_token_is_200_and_changes_nothing(registry: Any, body: Any) -> None:
    made = (await registry.register(body())).json()
    before = (await registry.http.get(f"/agents/{made['id']}")).json()
    again = await registry.register(body(), authorization=f"Bearer {made['token']}")
    assert (again.status_code, again.json()) == (200, made)
    assert (await registry.http.get(f"/agents/{made['id']}")).json() == before


async def test_an_agent_that_chose_its_token_may_send_a_registration_twice(registry: Any, body: Any) -> None:
    first = await registry.register(body(token=OWN_TOKEN))
    second = await registry.register(body(token=OWN_TOKEN))
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["token"] == second.json()["token"] == OWN_TOKEN


async def test_nobody_takes_the_place_of_an_agent_without_its_token(registry: Any, body: Any) -> None:
    made = (await registry.register(body())).json()
    thief = await registry.register(body(endpoint="http://127.0.0.1:6666"))
    assert thief.status_code == 409
    assert thief.headers["content-type"] == "application/problem+json"
    assert "token" in thief.json()["detail"]
    assert made["token"] not in thief.text
    beaten = await registry.beat({"id": made["id"], "token": "stolen"})
    assert beaten["results"] == [{"id": made["id"], "status": "refused"}]
    refused = await registry.http.delete(f"/agents/{made['id']}", headers={"authorization": "Bearer stolen"})
    assert refused.status_code == 403
    assert (await registry.discover("greeting"))["agents"][0]["endpoint"] == "http://127.0.0.1:9000"


async def test_a_change_is_seen_at_once(registry: Any, body: Any) -> None:
    made = (await registry.register(body())).json()
    changed = body(capabilities=[{"name": "parting", "version": "2.0.0"}])
    answer = await registry.register(changed, authorization=f"Bearer {made['token']}")
    assert answer.status_code == 200
    assert (await registry.discover("greeting"))["agents"] == []
    assert [agent["version"] for agent in (await registry.discover("parting"))["agents"]] == ["2.0.0"]


async def test_a_registry_that_knows_something_else_asks_for_it(registry: Any, body: Any) -> None:
    made = (await registry.register(body())).json()
    beat = {"id": made["id"], "token": made["token"]}
    assert (await registry.beat({**beat, "digest": made["digest"]}))["results"] == [{"id": made["id"], "status": "ok"}]
    assert (await registry.beat({**beat, "digest": "of-something-else"}))["results"][0]["resend"] is True


async def test_heartbeats_are_answered_one_by_one(registry: Any, body: Any) -> None:
    one = (await registry.register(body(replica="a"))).json()
    two = (await registry.register(body(replica="b", healthInterval=5))).json()
    told = await registry.beat(
        {"id": one["id"], "token": one["token"], "load": 0.5},
        {"id": "0" * 32, "token": one["token"]},
        {"id": two["id"], "token": one["token"]},
        {"id": two["id"], "token": two["token"]},
    )
    assert [result["status"] for result in told["results"]] == ["ok", "unknown", "refused", "ok"]
    assert told["interval"] == 1
    assert (await registry.http.get(f"/agents/{one['id']}")).json()["load"] == 0.5


async def test_who_leaves_is_found_no_more(registry: Any, body: Any) -> None:
    made = (await registry.register(body())).json()
    headers = {"authorization": f"Bearer {made['token']}"}
    assert (await registry.http.delete(f"/agents/{made['id']}", headers=headers)).status_code == 204
    assert (await registry.discover("greeting"))["agents"] == []
    assert (await registry.http.get(f"/agents/{made['id']}")).status_code == 404
    assert (await registry.http.delete(f"/agents/{made['id']}", headers=headers)).status_code == 404
    assert (await registry.beat({"id": made["id"], "token": made["token"]}))["results"][0]["status"] == "unknown"


async def test_lookups_are_by_capability_range_and_every_tag(registry: Any, body: Any) -> None:
    for number, (version, tags) in enumerate([("1.0.0", ["a"]), ("1.5.0", ["a", "b"]), ("2.0.0", ["b"])]):
        offered = [{"name": "greeting", "version": version, "tags": tags, "timeout": 7}]
        await registry.register(body(replica=f"r{number}", capabilities=offered))

    async def versions(**query: Any) -> list[str]:
        return sorted(agent["version"] for agent in (await registry.discover("greeting", **query))["agents"])

    assert await versions() == ["1.0.0", "1.5.0", "2.0.0"]
    assert await versions(version="^1.0") == ["1.0.0", "1.5.0"]
    assert await versions(tag="b") == ["1.5.0", "2.0.0"]
    assert await versions(tag=["a", "b"]) == ["1.5.0"]
    assert await versions(tag=["a", "b"], version="2.x") == []
    assert await versions(tag="nobody-has-it") == []
    assert (await registry.discover("nothing"))["agents"] == []
    found = (await registry.discover("greeting", version="2.0.0"))["agents"][0]
    assert {key: found[key] for key in ("capability", "timeout", "state")} == {
        "capability": "greeting",
        "timeout": 7,
        "state": "healthy",
    }


async def test_who_has_less_to_do_comes_first(registry: Any, body: Any) -> None:
    for replica, load in (("a", 0.9), ("b", 0.1), ("c", 0.5)):
        made = (await registry.register(body(replica=replica, endpoint=f"http://127.0.0.1:900{len(replica)}"))).json()
        await registry.beat({"id": made["id"], "token": made["token"], "load": load})
    assert [agent["load"] for agent in (await registry.discover("greeting"))["agents"]] == [0.1, 0.5, 0.9]


async def test_more_agents_than_are_asked_for_are_counted(registry: Any, body: Any) -> None:
    for number in range(7):
        await registry.register(body(replica=f"r{number}"))
    found = await registry.discover("greeting", limit=3)
    assert (len(found["agents"]), found["total"]) == (3, 7)
    assert len({agent["id"] for agent in found["agents"]}) == 3


async def test_an_answer_that_is_known_is_not_sent_again(registry: Any, body: Any) -> None:
    await registry.register(body())
    first = await registry.http.get("/discover?capability=greeting")
    assert first.headers["etag"] == first.json()["etag"]
    known = {"if-none-match": first.headers["etag"]}
    assert (await registry.http.get("/discover?capability=greeting", headers=known)).status_code == 304
    await registry.register(body(replica="another", capabilities=[{"name": "something-else"}]))
    assert (await registry.http.get("/discover?capability=greeting", headers=known)).status_code == 304
    await registry.register(body(replica="third"))
    after = await registry.http.get("/discover?capability=greeting", headers=known)
    assert (after.status_code, after.json()["total"]) == (200, 2)


async def test_a_list_is_read_page_by_page(registry: Any, body: Any) -> None:
    for number in range(25):
        await registry.register(body(name=f"agent-{number % 5}", replica=f"r{number}"))
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 10}
    while True:
        page = (await registry.http.get("/agents", params=query)).json()
        seen += [agent["id"] for agent in page["agents"]]
        if "nextCursor" not in page:
            break
        query["cursor"] = page["nextCursor"]
    assert len(seen) == len(set(seen)) == 25
    named = (await registry.http.get("/agents", params={"name": "agent-3"})).json()["agents"]
    assert {agent["name"] for agent in named} == {"agent-3"}
    assert len(named) == 5
    assert (await registry.http.get("/agents", params={"state": "gone"})).json()["agents"] == []


async def test_a_silent_agent_is_degraded_then_gone_and_comes_back_by_two_heartbeats(
    registry: Any, body: Any, eventually: Any
) -> None:
    made = (await registry.register(body())).json()

    async def state() -> str:
        return (await registry.http.get(f"/agents/{made['id']}")).json()["state"]

    async def is_(wanted: str) -> bool:
        return await state() == wanted

    await eventually(lambda: is_("degraded"))
    found = (await registry.discover("greeting"))["agents"]
    assert [agent["state"] for agent in found] == ["degraded"]
    await eventually(lambda: is_("gone"))
    assert (await registry.discover("greeting"))["agents"] == []
    beat = {"id": made["id"], "token": made["token"]}
    assert (await registry.beat(beat))["results"][0]["status"] == "ok"
    assert await state() == "gone"

    async def recovered() -> bool:
        await registry.beat(beat)
        return await is_("healthy")

    await eventually(recovered)


async def test_what_a_file_keeps_outlives_a_registry_that_is_killed(
    start_registry: Any, body: Any, tmp_path: Path
) -> None:
    registry = start_registry(data=tmp_path / "data")
    async with httpx.AsyncClient(base_url=registry.url) as http:
        made = [(await http.post("/agents", json=body(replica=f"r{n}", healthInterval=60))).json() for n in range(20)]
    registry.end()
    registry.start()
    async with httpx.AsyncClient(base_url=registry.url) as http:
        assert len((await http.get("/agents")).json()["agents"]) == 20
        beats = [{"id": one["id"], "token": one["token"]} for one in made]
        told = (await http.post("/heartbeats", json={"beats": beats})).json()
    assert {result["status"] for result in told["results"]} == {"ok"}


async def test_a_folder_is_used_by_one_registry_only(start_registry: Any, tmp_path: Path) -> None:
    start_registry(data=tmp_path / "data")
    with pytest.raises(RuntimeError, match="in use by another registry"):
        start_registry(data=tmp_path / "data")


async def test_the_probes_and_metrics_tell_of_the_agents(registry: Any, body: Any) -> None:
    made = (await registry.register(body())).json()
    await registry.beat({"id": made["id"], "token": made["token"]})
    for path in ("/livez", "/ready", "/health"):
        assert (await registry.http.get(path)).status_code == 200
    text = (await registry.http.get("/metrics")).text
    assert 'slipway_registry_agents{state="healthy"} 1.0' in text
    assert 'slipway_registry_heartbeats_total{status="ok"} 1.0' in text

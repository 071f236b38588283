"""What must not be taken: malformed, oversize, foreign, impersonating."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.mesh.endpoints import EndpointPolicy
from app.mesh.problems import Problem

MEBIBYTE = "x" * 1024 * 1024
SCHEMA = {"type": "object", "description": "x" * 20_000}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": MEBIBYTE[:200_000]}, "name"),
        ({"name": ""}, "name"),
        ({"name": "two words"}, "name"),
        ({"name": "../../etc"}, "name"),
        ({"name": "naïve"}, "name"),
        ({"name": 7}, "name"),
        ({"replica": "a\nb"}, "replica"),
        ({"replica": "x" * 300}, "replica"),
        ({"healthInterval": 0}, "healthInterval"),
        ({"healthInterval": 1e9}, "healthInterval"),
        ({"healthInterval": "soon"}, "healthInterval"),
        ({"capabilities": [{"name": f"c{n}"} for n in range(65)]}, "capabilities"),
        ({"capabilities": [{"name": "c"}, {"name": "c"}]}, "capabilities[1].name"),
        ({"capabilities": [{"name": "c", "version": "newest"}]}, "capabilities[0].version"),
        ({"capabilities": [{"name": "c", "version": "1.0.0" + "0" * 1000}]}, "capabilities[0].version"),
        ({"capabilities": [{"name": "c", "timeout": -1}]}, "capabilities[0].timeout"),
        ({"capabilities": [{"name": "c", "tags": ["x"] * 17}]}, "capabilities[0].tags"),
        ({"capabilities": [{"name": "c", "tags": ["<script>"]}]}, "capabilities[0].tags"),
        ({"capabilities": [{"name": "c", "inputSchema": []}]}, "capabilities[0].inputSchema"),
        ({"capabilities": [{"name": "c", "inputSchema": SCHEMA}]}, "capabilities[0].inputSchema"),
        ({"capabilities": [{"name": "c", "description": "x" * 1025}]}, "capabilities[0].description"),
        ({"capabilities": "greeting"}, "capabilities"),
        ({"dependencies": [{"capability": "c", "version": "=>1"}]}, "dependencies[0].version"),
        ({"dependencies": [{"capability": ""}]}, "dependencies[0].capability"),
        ({"metadata": {f"k{n}": "v" for n in range(33)}}, "metadata"),
        ({"metadata": {"k": "v" * 257}}, "metadata.k"),
        ({"token": "short"}, "token"),
        ({"token": "with a space in it, and long enough otherwise"}, "token"),
        ({"colour": "red"}, "the body"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_kept(
    registry: Any, body: Any, change: dict[str, Any], field: str
) -> None:
    answer = await registry.register(body(**change))
    told = answer.json()
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert told["field"] == field
    assert len(answer.content) < 1000
    assert "a space in it" not in answer.text
    assert (await registry.http.get("/agents")).json()["agents"] == []


async def test_a_body_of_a_megabyte_is_refused(registry: Any, body: Any) -> None:
    assert (await registry.register(body(name=MEBIBYTE))).status_code == 413


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b"null", b"[" * 100_000, b'{"name": "\xed\xa0\x80"}']
)
@pytest.mark.parametrize("path", ["/agents", "/heartbeats"])
async def test_what_is_not_json_or_not_an_object_is_refused(registry: Any, path: str, content: bytes) -> None:
    answer = await registry.http.post(path, content=content)
    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    "query",
    [
        "/discover",
        "/discover?capability=",
        "/discover?capability=two%20words",
        "/discover?capability=c&version=newest",
        "/discover?capability=c&limit=0",
        "/discover?capability=c&limit=1001",
        "/discover?capability=c&limit=-1",
        "/discover?capability=c&capability=d",
        "/discover?capability=c&colour=red",
        "/discover?capability=c&tag=%3Cscript%3E",
        "/discover?capability=%ff",
        "/discover?capability=" + "c" * 5000,
        "/discover?" + "&".join(f"tag=t{n}" for n in range(100)),
        "/agents?state=asleep",
        "/agents?cursor=%C3%A4",
        "/watch?capability=two%20words",
        "/v0/servers?limit=abc",
        "/v0/servers?updated_since=yesterday",
        "/v0/servers?cursor=%21%21",
    ],
)
async def test_a_query_that_makes_no_sense_is_refused_with_a_remedy(registry: Any, query: str) -> None:
    answer = await registry.http.get(query)
    assert answer.status_code in (400, 422)
    assert ":" in answer.json()["detail"] or "percent" in answer.json()["detail"]


async def test_too_many_heartbeats_at_once_are_refused(registry: Any) -> None:
    answer = await registry.http.post("/heartbeats", json={"beats": [{"id": "x", "token": "y"}] * 1001})
    assert answer.status_code == 422


async def test_a_flood_of_unknown_ids_is_answered_and_remembered_for_a_moment_only(registry: Any) -> None:
    for start in range(0, 12_000, 1000):
        told = await registry.beat(*({"id": f"{start + n:032x}", "token": "t"} for n in range(1000)))
        assert {result["status"] for result in told["results"]} == {"unknown"}


@pytest.mark.parametrize(("method", "path"), [("PUT", "/agents"), ("GET", "/heartbeats"), ("POST", "/discover")])
async def test_another_method_is_refused(registry: Any, method: str, path: str) -> None:
    assert (await registry.http.request(method, path)).status_code == 405


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://169.254.169.254:80",
        "http://[fd00:ec2::254]:80",
        "http://100.100.100.200:80",
        "http://[::ffff:169.254.169.254]:80",
        "http://[fe80::1]:80",
        "http://0.0.0.0:80",
        "http://255.255.255.255:80",
        "http://224.0.0.1:80",
        "http://10.1.2.3:80",
        "http://127.0.0.1:80",
        "http://[::1]:80",
        "http://[::ffff:127.0.0.1]:80",
    ],
)
def test_an_address_that_is_not_the_agents_own_is_refused(endpoint: str) -> None:
    with pytest.raises(Problem) as refused:
        EndpointPolicy(local=False).check(endpoint, "10.9.9.9")
    assert refused.value.status == 403


@pytest.mark.parametrize(
    "endpoint",
    [
        "ftp://10.0.0.1:80",
        "http://agent.example:80",
        "http://localhost:80",
        "http://10.0.0.1",
        "http://10.0.0.1:0",
        "http://10.0.0.1:99999",
        "http://user:password@10.0.0.1:80",
        "http://10.0.0.1:80/path",
        "http://10.0.0.1:80?q=1",
        "http://2130706433:80",
        "http://0x7f.1:80",
        "http://10.0.0.1:80\n",
        "//10.0.0.1:80",
        "",
        "http://" + "1" * 5000,
    ],
)
def test_what_is_no_address_with_a_port_is_refused(endpoint: str) -> None:
    with pytest.raises(Problem) as refused:
        EndpointPolicy(["0.0.0.0/0"], local=True).check(endpoint, "10.0.0.1")
    assert refused.value.status == 422
    assert "password" not in refused.value.detail


def test_an_agent_registers_its_own_address_and_those_of_the_networks_allowed() -> None:
    policy = EndpointPolicy(["10.1.0.0/16", "fd12::/16"], local=False)
    assert policy.check("http://192.0.2.7:9000/", "192.0.2.7") == "http://192.0.2.7:9000"
    assert policy.check("https://10.1.2.3:9000", "192.0.2.7") == "https://10.1.2.3:9000"
    assert policy.check("http://[fd12::1]:9000", "192.0.2.7") == "http://[fd12::1]:9000"
    assert policy.check("http://[::ffff:192.0.2.7]:9000", "192.0.2.7") == "http://192.0.2.7:9000"
    with pytest.raises(Problem, match="MCP_MESH_ALLOWED_ENDPOINTS"):
        policy.check("http://10.2.0.1:9000", "192.0.2.7")


def test_not_even_an_allowed_network_opens_the_way_to_metadata() -> None:
    with pytest.raises(Problem):
        EndpointPolicy(["0.0.0.0/0"], local=True).check("http://169.254.169.254:80", "169.254.169.254")


TOKENS = (
    "team-a-token-0123456789:team-a:mesh:register,team-b-token-0123456789:team-b:mesh:register,"
    "reader-token-0123456789:reader:"
)
TEAM_A = {"authorization": "Bearer team-a-token-0123456789"}
TEAM_B = {"authorization": "Bearer team-b-token-0123456789"}
READER = {"authorization": "Bearer reader-token-0123456789"}


async def test_where_tokens_are_asked_for_only_those_with_the_scope_register(serve_registry: Any, body: Any) -> None:
    registry = await serve_registry(MCP_AUTH_TOKENS=TOKENS)
    nobody = await registry.register(body())
    assert (nobody.status_code, "www-authenticate" in nobody.headers) == (401, True)
    assert (await registry.register(body(), authorization="Bearer of-nobody-0123456789")).status_code == 401
    refused = await registry.register(body(), **READER)
    assert refused.status_code == 403
    assert "mesh:register" in refused.json()["detail"]
    assert (await registry.register(body(), **TEAM_A)).status_code == 201
    for path in ("/agents", "/discover?capability=greeting", "/watch", "/v0/servers", "/overview", "/federation"):
        assert (await registry.http.get(path)).status_code == 401
    found = await registry.http.get("/discover?capability=greeting", headers=READER)
    assert found.json()["total"] == 1


async def test_a_name_belongs_to_the_subject_that_registered_it(serve_registry: Any, body: Any) -> None:
    registry = await serve_registry(MCP_AUTH_TOKENS=TOKENS)
    made = (await registry.register(body(), **TEAM_A)).json()
    theirs = await registry.register(body(replica="mine-now", endpoint="http://127.0.0.1:6666"), **TEAM_B)
    assert theirs.status_code == 403
    assert theirs.json()["field"] == "name"
    other = await registry.beat({"id": made["id"], "token": "x"}, **TEAM_B)
    assert other["results"][0]["status"] == "refused"
    own = await registry.beat({"id": made["id"], "token": "x"}, **TEAM_A)
    assert own["results"][0]["status"] == "ok"
    assert (await registry.http.delete(f"/agents/{made['id']}", headers=TEAM_B)).status_code == 403
    assert (await registry.register(body(), **TEAM_A)).status_code == 200  # a restart that lost its token
    assert (await registry.http.delete(f"/agents/{made['id']}", headers=TEAM_A)).status_code == 204
    assert (await registry.register(body(), **TEAM_B)).status_code == 201


async def test_one_address_does_not_fill_the_registry(serve_registry: Any, body: Any) -> None:
    registry = await serve_registry(MCP_MESH_ALLOWED_ENDPOINTS="10.0.0.0/8", MCP_MESH_MAX_AGENTS_PER_ADDRESS="3")
    flood = [await registry.register(body(replica=f"r{n}", endpoint=f"http://10.0.0.5:{n}")) for n in range(1, 6)]
    assert [answer.status_code for answer in flood] == [201, 201, 201, 429, 429]
    assert "10.0.0.5" in flood[-1].json()["detail"]
    assert int(flood[-1].headers["retry-after"]) >= 1
    first = flood[0].json()
    own = {"authorization": f"Bearer {first['token']}"}
    assert (await registry.register(body(replica="r1", endpoint="http://10.0.0.5:99"), **own)).status_code == 200
    assert (await registry.register(body(replica="other", endpoint="http://10.0.0.6:1"))).status_code == 201
    assert (await registry.http.delete(f"/agents/{first['id']}", headers=own)).status_code == 204
    assert (await registry.register(body(replica="r9", endpoint="http://10.0.0.5:9"))).status_code == 201


async def test_no_answer_shows_what_is_kept_of_a_token(registry: Any, body: Any) -> None:
    made = (await registry.register(body())).json()
    for path in ("/agents", f"/agents/{made['id']}", "/discover?capability=greeting", "/overview", "/v0/servers"):
        text = (await registry.http.get(path)).text
        assert made["token"] not in text
        assert "secret" not in text


async def test_a_page_of_another_origin_may_not_ask(registry: Any) -> None:
    async with httpx.AsyncClient(base_url=registry.url, headers={"origin": "https://evil.example"}) as browser:
        assert (await browser.get("/agents")).status_code == 403

"""The registry read by the official registry's own types, and judged by the schemas that it publishes."""

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import yaml
from jsonschema import Draft7Validator, Draft202012Validator

# Whatever names, versions and addresses agents have: each becomes a server that clients can read.
AGENTS: list[dict[str, Any]] = [
    {"name": "greeter", "replica": "a", "endpoint": "http://127.0.0.1:9000"},
    {"name": "greeter", "replica": "b", "endpoint": "http://127.0.0.1:9001", "metadata": {"version": "1.1.0+build.7"}},
    {"name": "Odd.Name_1", "replica": "c", "endpoint": "https://[::1]:9002"},
    {"name": "n" * 63, "replica": "d", "endpoint": "http://127.0.0.1:9003"},
    {"name": "idle", "replica": "e", "endpoint": "http://127.0.0.1:9004", "capabilities": []},
    {
        "name": "able",
        "replica": "f",
        "endpoint": "http://127.0.0.1:9005",
        "capabilities": [{"name": f"capability-{number}"} for number in range(64)],
    },
]
LONGEST_PAGE = 100


@pytest.fixture(scope="module")
def filled(registry: str) -> str:
    greeting = [{"name": "greeting", "version": "1.0.0"}]
    for agent in AGENTS:
        answer = httpx.post(f"{registry}/agents", json={"capabilities": greeting, "healthInterval": 3600, **agent})
        assert answer.status_code == 201, answer.text
    return registry


def servers(registry: str, path: str = "", **query: Any) -> dict[str, Any]:
    return httpx.get(f"{registry}/v0.1/servers{path}", params=query).raise_for_status().json()


def test_the_official_types_read_every_page(filled, registry_client, run_json):
    found = run_json(registry_client, filled)
    assert [(one["server"]["name"].partition("/")[2], one["server"]["version"]) for one in found] == [
        ("Odd.Name_1", "1.0.0"),
        ("able", "1.0.0"),
        ("greeter", "1.0.0"),
        ("greeter", "1.1.0+build.7"),
        ("idle", "0.0.0"),
        ("n" * 63, "1.0.0"),
    ]
    official = [one["_meta"]["io.modelcontextprotocol.registry/official"] for one in found]
    assert {one["status"] for one in official} == {"active"}
    assert [one["isLatest"] for one in official] == [True, True, False, True, True, True]


def test_each_server_is_what_the_schema_that_it_names_allows(filled, official_registry):
    told = [one["server"] for one in servers(filled, limit=LONGEST_PAGE)["servers"]]
    assert len(told) == len(AGENTS)
    [schema] = {server["$schema"] for server in told}
    files = sorted((official_registry / "internal/validators/schemas").glob("*.json"))
    published = {each["$id"]: each for each in (json.loads(file.read_text("utf-8")) for file in files)}
    newest = json.loads(files[-1].read_text("utf-8"))["$id"]
    assert schema == newest, f"the newest is {newest}"
    for server in told:
        Draft7Validator(published[schema]).validate(server)


def test_each_answer_is_what_the_api_s_description_says(filled, official_registry):
    document = yaml.safe_load((official_registry / "docs/reference/api/openapi.yaml").read_text("utf-8"))
    name = quote("io.mcp.mesh/greeter", safe="")
    answers = {
        "/v0.1/servers": servers(filled, limit=2),
        "/v0.1/servers/{serverName}/versions": servers(filled, f"/{name}/versions"),
        "/v0.1/servers/{serverName}/versions/{version}": servers(filled, f"/{name}/versions/1.1.0%2Bbuild.7"),
    }
    for path, answer in answers.items():
        described = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        Draft202012Validator({**described, "components": document["components"]}).validate(answer)
    # There is nothing to read there that is not read here.
    reads = {path for path, ways in document["paths"].items() if "get" in ways}
    assert reads == set(answers)
    wanted = {each["name"] for each in document["paths"]["/v0.1/servers"]["get"]["parameters"]}
    assert wanted == {"cursor", "limit", "search", "updated_since", "version", "include_deleted"}

"""The toolset in a running server: what the settings say, what /ready tells, and tools that appear while it runs."""

from __future__ import annotations

import gc
import json
import shlex
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from app.cli._equipment import equip
from app.cli._problems import WiringError
from app.settings import Settings
from app.toolsets.documents.mongo import MongoStore
from app.toolsets.documents.service import Documents
from app.toolsets.documents.store import TOOLS

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

DEFINITION = {
    "_id": 1,
    "name": "by_name",
    "description": "Somebody by name",
    "inputSchema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    "query": {"collection": "people", "filter": {"name": "{{name}}"}},
}


@pytest.fixture(autouse=True)
async def _lost_sockets() -> AsyncIterator[None]:
    """pymongo leaves a socket to be collected when it cannot connect; it is collected before the next test."""
    yield
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()


async def call(url: str, name: str, /, **arguments: Any) -> dict[str, Any]:
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{url}/messages", json=request, timeout=20)
    return answer.json()["result"]


async def ready(url: str) -> dict[str, Any]:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{url}/ready")
    assert answer.status_code == 200
    return answer.json()


Serve = Callable[..., Awaitable[Any]]


async def test_nothing_configured_means_documents_in_memory(serve: Serve) -> None:
    served = await serve(MCP_TOOLSETS="platform,documents")
    await call(served.http, "insert", collection="x", documents=[{"a": 1}])
    assert len((await call(served.http, "find", collection="x"))["structuredContent"]["documents"]) == 1
    assert (await call(served.http, "server_info"))["structuredContent"]["stores"]["documents"] == "memory"
    assert (await ready(served.http))["dependencies"] == {"sessions": "ok"}


async def test_documents_in_a_file_outlive_the_server(serve: Serve, tmp_path: Path) -> None:
    path = str(tmp_path / "documents.sqlite")
    first = await serve(MCP_TOOLSETS="documents", MCP_DOCUMENTS_PATH=path)
    await call(first.http, "insert", collection="x", documents=[{"_id": 1}])
    second = await serve(MCP_TOOLSETS="documents", MCP_DOCUMENTS_PATH=path)
    assert (await call(second.http, "get", collection="x", id=1))["structuredContent"] == {"document": {"_id": 1}}
    assert (await ready(second.http))["dependencies"] == {"sessions": "ok", "documents": "ok"}


async def test_two_replicas_on_one_mongodb_share_documents_and_tools(
    serve: Serve, open_socket: Any, ferretdb: Any, database: str
) -> None:
    uri = ferretdb.uri(database)
    settings = {"MCP_TOOLSETS": "documents", "MONGODB_URI": uri, "MCP_DOCUMENTS_TOOLS_SECONDS": 0.05}
    one, other = await serve(**settings), await serve(**settings)
    socket = await open_socket(other.ws)
    await socket.initialize()
    await call(one.http, "insert", collection="people", documents=[{"_id": 1, "name": "Ada"}])
    store = MongoStore(uri, seconds=10)
    await store.insert(TOOLS, [DEFINITION])
    await store.close()
    assert (await socket.receive())["method"] == "notifications/tools/list_changed"
    answer = await socket.call(2, "by_name", name="Ada")
    assert answer["result"]["structuredContent"] == {"documents": [{"_id": 1, "name": "Ada"}]}


async def test_a_stored_tool_is_there_from_the_start(serve: Serve, ferretdb: Any, database: str) -> None:
    store = MongoStore(ferretdb.uri(database), seconds=10)
    await store.insert(TOOLS, [DEFINITION])
    await Documents(store).insert("people", [{"_id": 1, "name": "Ada"}])
    await store.close()
    served = await serve(MCP_TOOLSETS="documents", MONGODB_URI=ferretdb.uri(database))
    assert (await ready(served.http))["tools"] == 10
    assert "Ada" in json.dumps(await call(served.http, "by_name", name="Ada"))


async def test_without_its_mongodb_the_server_is_up_and_says_so(serve: Serve) -> None:
    served = await serve(
        MCP_TOOLSETS="platform,documents", MONGODB_URI="mongodb://127.0.0.1:9/x", MCP_DOCUMENTS_TIMEOUT=1
    )
    state = await ready(served.http)
    assert state["status"] == "degraded"
    assert state["dependencies"]["documents"] in ("unavailable", "no answer")
    assert (await call(served.http, "echo", text="hi"))["content"][0]["text"] == "hi"
    result = await call(served.http, "find", collection="x")
    assert result["isError"] is True
    assert "The document store does not answer" in result["content"][0]["text"]


async def test_the_limits_are_those_of_the_settings(serve: Serve) -> None:
    served = await serve(
        MCP_TOOLSETS="documents", MCP_DOCUMENTS_MAX_DOCUMENT_BYTES=2048, MCP_DOCUMENTS_MAX_RESULT_BYTES=1500
    )
    result = await call(served.http, "insert", collection="x", documents=[{"a": "x" * 3000}])
    assert "send at most 2048" in result["content"][0]["text"]
    await call(served.http, "insert", collection="x", documents=[{"a": "x" * 1000}, {"a": "x" * 1000}])
    assert len((await call(served.http, "find", collection="x"))["structuredContent"]["documents"]) == 1


async def test_tools_are_defined_by_clients_where_that_is_allowed(serve: Serve) -> None:
    served = await serve(MCP_TOOLSETS="documents", MCP_DOCUMENTS_DEFINE_TOOLS="true")
    await call(served.http, "insert", collection="people", documents=[{"_id": 1, "name": "Ada"}])
    arguments = {name: value for name, value in DEFINITION.items() if name in ("name", "description", "query")}
    await call(served.http, "define_tool", input_schema=DEFINITION["inputSchema"], **arguments)
    assert "Ada" in msgspec.json.encode(await call(served.http, "by_name", name="Ada")).decode()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"MONGODB_URI": "mongodb://ada:hunter2:x@host/db"},
            r"MONGODB_URI=\(hidden\) is wrong: it cannot be understood",
        ),
        ({"MCP_DOCUMENTS_PATH": "/no/such/folder/file"}, "MCP_DOCUMENTS_PATH='/no/such/folder/file' is wrong"),
        ({"MCP_WORKERS": 2}, "MCP_WORKERS=2 would give each process documents of its own"),
    ],
)
def test_settings_that_cannot_work_stop_the_start(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(WiringError, match=said) as caught:
        equip(Settings(**{"MCP_TOOLSETS": "documents", **changed}))
    assert "hunter2" not in str(caught.value)


def test_the_calls_that_the_page_shows_work_one_after_the_other(start_slipway: Any) -> None:
    page = (Path(__file__).parents[4] / "docs" / "tools" / "documents.md").read_text("utf-8")
    lines = [line for line in page.splitlines() if line.startswith("slipway call $MCP ")]
    server = start_slipway(MCP_TOOLSETS="documents")
    answers: list[Any] = []
    for line in lines:
        words = shlex.split(line.replace("$MCP", f"{server.url}/mcp"))[1:]
        done = subprocess.run([sys.executable, "-m", "app.cli", *words], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout))
    assert answers == [
        {"ids": [1, 2]},
        {"documents": [{"_id": 1, "name": "Ada", "city": "London"}]},
        {"matched": 1, "modified": 1},
        {"documents": [{"_id": "London", "people": 1}, {"_id": "Rome", "people": 1}], "truncated": False},
        {"collections": [{"name": "people", "documents": 2}]},
    ]

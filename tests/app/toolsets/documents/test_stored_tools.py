"""Tools that are kept as documents."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from app.protocol.handlers import InvalidArguments, ToolFailure
from app.toolsets import CallContext, ToolsetRegistry, load
from app.toolsets.documents.errors import Refused
from app.toolsets.documents.service import Documents
from app.toolsets.documents.store import TOOLS
from app.toolsets.documents.stored_tools import StoredTool, make_tool
from app.toolsets.documents.watcher import ToolWatcher

BY_CITY: dict[str, Any] = {
    "name": "people_in",
    "description": "People of a city",
    "inputSchema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "least": {"type": "integer", "default": 0}},
        "required": ["city"],
    },
    "query": {
        "collection": "people",
        "filter": {"city": "{{city}}", "age": {"$gte": "{{ least }}"}},
        "projection": {"_id": 0, "name": 1},
        "sort": {"name": -1},
    },
}
COUNTING: dict[str, Any] = {
    "name": "count_cities",
    "description": "How many people a city has",
    "inputSchema": {
        "type": "object",
        "properties": {
            "cities": {"type": "array", "items": {"type": "string"}},
            "most": {"type": "integer", "default": 5},
        },
        "required": ["cities"],
    },
    "query": {
        "collection": "people",
        "operation": "aggregate",
        "pipeline": [
            {"$match": {"city": {"$in": "{{cities}}"}}},
            {"$group": {"_id": "$city", "people": {"$sum": 1}}},
            {"$sort": {"_id": 1}},
            {"$limit": "{{most}}"},
        ],
    },
}


class Offered:
    """A registry with the watcher that keeps it, and what it told of changes."""

    def __init__(self, store: Any, *, defining: bool = False) -> None:
        self.documents = Documents(store)
        self.watcher = ToolWatcher(self.documents, 3600, defining=defining)
        self.registry: ToolsetRegistry = load(["platform", "documents"], given=[self.documents, self.watcher])
        self.told: list[str] = []
        self.registry.listen(self.told.append)

    async def store(self, *definitions: dict[str, Any]) -> None:
        """As whoever runs the database would; schema and query as text."""
        kept = [{"_id": number, **definition} for number, definition in enumerate(definitions)]
        for one in kept:
            one["inputSchema"] = msgspec.json.encode(one["inputSchema"]).decode()
            one["query"] = msgspec.json.encode(one["query"]).decode()
        await self.documents.store.insert(TOOLS, kept)

    async def people(self) -> None:
        await self.documents.insert(
            "people",
            [
                {"_id": 1, "name": "Ada", "city": "London", "age": 36},
                {"_id": 2, "name": "Bo", "city": "London", "age": 5},
                {"_id": 3, "name": "Cy", "city": "Oslo", "age": 61},
                {"_id": 4, "name": "Di", "city": {"$oid": "0" * 24}, "age": 1},
            ],
        )

    def names(self) -> set[str]:
        return {tool.definition.name for tool in self.registry.tools()} - {"echo", "wait", "server_info"} - _OWN


_OWN = {"list_collections", "create_collection", "set_schema", "get", "find", "aggregate", "insert", "update", "delete"}


@pytest.fixture
async def offered(store: Any) -> Any:
    made = Offered(store)
    yield made
    await made.watcher.close()


def structured(result: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(result))["structuredContent"]


async def call(registry: ToolsetRegistry, name: str, context: CallContext, **arguments: Any) -> Any:
    tool = registry.tool(name)
    assert tool is not None
    return structured(await tool.call(Raw(msgspec.json.encode(arguments)), context))


async def test_a_stored_tool_appears_changes_and_goes_without_a_restart(offered: Offered, context: CallContext) -> None:
    await offered.people()
    await offered.watcher.start()
    assert offered.names() == set()
    await offered.store(BY_CITY)
    await offered.watcher.look()
    assert offered.names() == {"people_in"}
    assert offered.told == ["tools"]
    assert await call(offered.registry, "people_in", context, city="London") == {
        "documents": [{"name": "Bo"}, {"name": "Ada"}]
    }
    await offered.watcher.look()
    assert offered.told == ["tools"]
    await offered.watcher.define(StoredTool("people_in", "Changed", BY_CITY["inputSchema"], BY_CITY["query"]))
    tool = offered.registry.tool("people_in")
    assert tool is not None
    assert tool.definition.description == "Changed"
    await offered.watcher.forget("people_in")
    assert offered.names() == set()
    assert set(offered.told) == {"tools"}


async def test_a_stored_tool_shows_its_schema_and_that_it_only_reads(offered: Offered) -> None:
    await offered.store(BY_CITY)
    await offered.watcher.look()
    tool = offered.registry.tool("people_in")
    assert tool is not None
    assert tool.definition.input_schema == {**BY_CITY["inputSchema"], "additionalProperties": False}
    assert tool.definition.annotations.read_only_hint is True
    assert tool.definition.output_schema["required"] == ["documents"]


async def test_arguments_are_checked_and_have_their_defaults(offered: Offered, context: CallContext) -> None:
    await offered.people()
    await offered.store(BY_CITY)
    await offered.watcher.look()
    assert len((await call(offered.registry, "people_in", context, city="London", least=6))["documents"]) == 1
    for arguments, fault in (
        ({}, "city is missing"),
        ({"city": 5}, "city is 5: send string"),
        ({"city": {"$ne": ""}}, "send string"),
        ({"city": "x", "least": 1.5}, "least is 1.5: send integer"),
        ({"city": "x", "other": 1}, "other is not one of the fields city, least"),
    ):
        with pytest.raises(InvalidArguments, match=fault):
            await call(offered.registry, "people_in", context, **arguments)


async def test_an_argument_is_never_an_operator_or_text_of_the_query(offered: Offered, context: CallContext) -> None:
    await offered.people()
    await offered.store(BY_CITY, COUNTING)
    await offered.watcher.look()
    for hostile in ('", "$where": "1', "{{least}}", "$city", '{"$ne": null}', "\u0000", "0" * 24):
        assert await call(offered.registry, "people_in", context, city=hostile) == {"documents": []}
        assert await call(offered.registry, "count_cities", context, cities=[hostile]) == {"documents": []}


async def test_a_stored_aggregation_takes_arrays_and_limits(offered: Offered, context: CallContext) -> None:
    await offered.people()
    await offered.store(COUNTING)
    await offered.watcher.look()
    answer = await call(offered.registry, "count_cities", context, cities=["London", "Oslo", "Rome"])
    assert answer["documents"] == [{"_id": "London", "people": 2}, {"_id": "Oslo", "people": 1}]
    answer = await call(offered.registry, "count_cities", context, cities=["London", "Oslo"], most=1)
    assert answer["documents"] == [{"_id": "London", "people": 2}]
    with pytest.raises(ToolFailure, match="send an integer, 1 or more"):
        await call(offered.registry, "count_cities", context, cities=["London"], most=0)


async def test_a_definition_may_hold_objects_instead_of_text(offered: Offered, context: CallContext) -> None:
    await offered.people()
    query = {"collection": "people", "filter": {"city": "{{city}}"}, "projection": {"name": 1}}
    await offered.documents.store.insert(TOOLS, [{"_id": 1, **BY_CITY, "query": query}])
    await offered.watcher.look()
    answer = await call(offered.registry, "people_in", context, city="Oslo")
    assert answer == {"documents": [{"_id": 3, "name": "Cy"}]}


async def test_a_wrong_definition_is_told_once_and_the_others_are_offered(
    offered: Offered, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = {**BY_CITY, "name": "wrong", "query": {"collection": "people", "filter": {"$where": "1"}}}
    taken = {**BY_CITY, "name": "find"}
    await offered.store(wrong, BY_CITY, taken)
    await offered.documents.store.insert(TOOLS, [{"_id": "x", "name": 5}, {"_id": "y", "name": "bare"}])
    await offered.watcher.look()
    await offered.watcher.look()
    assert offered.names() == {"people_in"}
    said = [record.message for record in caplog.records]
    assert len(said) == 3
    assert 'the stored tool "wrong" is not offered: query.filter has $where' in said[0]
    assert 'the stored tool "find" is not offered: another toolset has a tool of that name' in said[1]
    assert 'the stored tool "bare" is not offered' in said[2]
    await offered.watcher.define(StoredTool("wrong", "Mended", BY_CITY["inputSchema"], BY_CITY["query"]))
    assert offered.names() == {"people_in", "wrong"}


async def test_the_watcher_looks_by_itself(store: Any) -> None:
    offered = Offered(store)
    offered.watcher = ToolWatcher(offered.documents, 0.01)
    offered.watcher.offer_to(offered.registry)
    heard = asyncio.Event()
    offered.registry.listen(lambda _: heard.set())
    await offered.watcher.start()
    try:
        await offered.store(BY_CITY)
        async with asyncio.timeout(10):
            await heard.wait()
        assert offered.names() == {"people_in"}
    finally:
        await offered.watcher.close()


async def test_clients_define_tools_only_where_that_is_allowed(store: Any, context: CallContext) -> None:
    assert Offered(store).registry.tool("define_tool") is None
    offered = Offered(store, defining=True)
    await offered.people()
    arguments = {name if name != "inputSchema" else "input_schema": value for name, value in BY_CITY.items()}
    define, remove = offered.registry.tool("define_tool"), offered.registry.tool("remove_tool")
    assert define is not None
    assert remove is not None
    await define.call(Raw(msgspec.json.encode(arguments)), context)
    assert await call(offered.registry, "people_in", context, city="Oslo") == {"documents": [{"name": "Cy"}]}
    with pytest.raises(Refused, match="There is already a tool 'find' which is not a stored one"):
        await define.call(Raw(msgspec.json.encode({**arguments, "name": "find"})), context)
    await remove.call(Raw(b'{"name": "people_in"}'), context)
    assert offered.registry.tool("people_in") is None
    with pytest.raises(Refused, match='There is no stored tool "people_in"'):
        await remove.call(Raw(b'{"name": "people_in"}'), context)


STRING = {"type": "string"}


def takes(city: dict[str, Any], required: tuple[str, ...] = ("city", "least")) -> dict[str, Any]:
    """The arguments of the definition, with another schema for the city."""
    properties = {"city": city, "least": {"type": "integer"}}
    return {"inputSchema": {"type": "object", "properties": properties, "required": [*required]}}


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"name": "a b"}, "name is"),
        ({"description": ""}, "description has 0 characters"),
        ({"inputSchema": {"type": "array"}}, r"inputSchema\.type"),
        ({"inputSchema": "{"}, "inputSchema is text, but not of JSON"),
        ({"inputSchema": {"type": "object", "properties": {}}}, r"\{\{city\}\}, which is no property"),
        (takes(city={"type": "object"}), r'properties\.city\.type is "object"'),
        (takes(city={}), r"properties\.city\.type is null"),
        (takes(city={"type": "array", "items": {"type": "object"}}), r"properties\.city\.items\.type"),
        (takes(city=STRING, required=["least"]), "city is neither required nor has it a default"),
        ({"query": {"collection": "slipway_tools"}}, "belongs to the platform"),
        ({"query": {"collection": "x", "operation": "delete"}}, "query is not one"),
        ({"query": {"collection": "x", "limit": 5_000}}, "send 1 to 1000"),
        ({"query": {"collection": "x", "filters": {}}}, "query is not one"),
        ({"query": {"collection": "x", "filter": {"a": "pre {{city}}"}}}, "an argument is a whole value"),
        ({"query": {"collection": "x", "filter": {"{{city}}": 1}}}, "only values can be arguments"),
        ({"query": {"collection": "x", "sort": {"a": "{{city}}"}}}, r"arguments go into filters, \$match"),
        ({"query": {"collection": "x", "filter": {"a": {"$function": {}}}}}, "it runs code"),
        (
            {"query": {"collection": "x", "operation": "aggregate", "pipeline": [{"$set": {"a": "{{city}}"}}]}},
            "arguments go into filters",
        ),
        ({"query": {"collection": "x", "operation": "aggregate", "pipeline": [{"$out": "y"}]}}, "it writes"),
    ],
)
async def test_a_definition_that_would_not_work_is_refused(sqlite: Any, changed: dict[str, Any], fault: str) -> None:
    definition = {**BY_CITY, **changed}
    stored = StoredTool(definition["name"], definition["description"], definition["inputSchema"], definition["query"])
    with pytest.raises(Refused, match=fault):
        make_tool(stored, Documents(sqlite))

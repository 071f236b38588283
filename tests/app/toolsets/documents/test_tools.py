"""The tools as a client meets them: what they show, what they answer, and what they make of bad input."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from app.protocol.handlers import InvalidArguments, ToolFailure
from app.protocol.methods.tools import run_tool
from app.toolsets import CallContext, ToolsetRegistry, load
from app.toolsets.documents.service import Documents
from app.toolsets.documents.sqlite import SqliteStore
from app.toolsets.documents.store import DocumentStore


@pytest.fixture
def registry(sqlite: SqliteStore) -> ToolsetRegistry:
    return load(["documents"], given=[Documents(sqlite)])


@pytest.fixture
def call(registry: ToolsetRegistry, context: CallContext) -> Any:
    """Calls a tool as the dispatcher does."""

    async def answer(name: str, arguments: dict[str, Any] | str) -> Any:
        sent = arguments.encode() if isinstance(arguments, str) else msgspec.json.encode(arguments)
        tool = registry.tool(name)
        assert tool is not None
        return msgspec.json.decode(msgspec.json.encode(await run_tool(tool, Raw(sent), context)))

    return answer


async def test_what_is_inserted_is_found_changed_and_gone(call: Any) -> None:
    inserted = await call("insert", {"collection": "notes", "documents": [{"_id": 1, "text": "hi"}, {"_id": "b"}]})
    assert inserted["structuredContent"] == {"ids": [1, "b"]}
    found = await call("find", {"collection": "notes", "filter": {"text": {"$exists": True}}})
    assert found["structuredContent"] == {"documents": [{"_id": 1, "text": "hi"}]}
    got = await call("get", {"collection": "notes", "id": 1, "projection": {"text": 1}})
    assert got["structuredContent"] == {"document": {"_id": 1, "text": "hi"}}
    changed = await call("update", {"collection": "notes", "filter": {}, "update": {"$set": {"a": 1}}, "many": True})
    assert changed["structuredContent"] == {"matched": 2, "modified": 2}
    made = await call(
        "update", {"collection": "notes", "filter": {"_id": 5}, "update": {"$set": {"a": 1}}, "upsert": True}
    )
    assert made["structuredContent"] == {"matched": 0, "modified": 0, "upsertedId": 5}
    counted = await call("aggregate", {"collection": "notes", "pipeline": [{"$count": "n"}]})
    assert counted["structuredContent"] == {"documents": [{"n": 3}], "truncated": False}
    deleted = await call("delete", {"collection": "notes", "filter": {"a": 1}, "many": True})
    assert deleted["structuredContent"] == {"deleted": 3}
    made = await call("create_collection", {"collection": "people", "schema": {"required": ["name"]}})
    assert made["structuredContent"] == {"name": "people", "documents": 0, "schema": {"required": ["name"]}}
    assert (await call("set_schema", {"collection": "people", "schema": None}))["content"] == []
    listed = await call("list_collections", {})
    assert listed["structuredContent"]["collections"] == [
        {"name": "notes", "documents": 0},
        {"name": "people", "documents": 0},
    ]


async def test_pages_are_followed_by_their_cursor(call: Any) -> None:
    await call("insert", {"collection": "notes", "documents": [{"_id": n} for n in range(5)]})
    first = (await call("find", {"collection": "notes", "limit": 3}))["structuredContent"]
    second = (await call("find", {"collection": "notes", "limit": 3, "cursor": first["nextCursor"]}))[
        "structuredContent"
    ]
    assert [document["_id"] for document in (*first["documents"], *second["documents"])] == [0, 1, 2, 3, 4]
    assert "nextCursor" not in second


def test_tools_say_whether_they_only_read(registry: ToolsetRegistry) -> None:
    reading = {tool.definition.name for tool in registry.tools() if tool.definition.annotations.read_only_hint is True}
    assert reading == {"list_collections", "get", "find", "aggregate"}


async def test_results_fit_the_schemas_that_are_shown(call: Any, registry: ToolsetRegistry) -> None:
    import jsonschema

    calls = {
        "insert": {"collection": "notes", "documents": [{"a": {"$date": "2026-01-01T00:00:00Z"}}, {}]},
        "find": {"collection": "notes", "limit": 1},
        "aggregate": {"collection": "notes", "pipeline": []},
        "update": {"collection": "notes", "filter": {"_id": 1}, "update": {"$set": {"a": 1}}, "upsert": True},
        "get": {"collection": "notes", "id": 1},
        "list_collections": {},
        "delete": {"collection": "notes", "filter": {}},
        "create_collection": {"collection": "more"},
    }
    for name, arguments in calls.items():
        tool = registry.tool(name)
        assert tool is not None
        result = await call(name, arguments)
        jsonschema.validate(arguments, tool.definition.input_schema)
        jsonschema.validate(result["structuredContent"], tool.definition.output_schema)


ALL: dict[str, Any] = {"collection": "x", "filter": {}}


@pytest.mark.parametrize(
    ("name", "arguments", "fault"),
    [
        ("find", {}, "Argument 'collection' is missing"),
        ("find", {"collection": 5}, "Argument 'collection' is 5"),
        ("find", {"collection": "x", "filer": {}}, "Did you mean 'filter'"),
        ("find", {"collection": "x", "filter": []}, "Argument 'filter' is"),
        ("find", {"collection": "x", "limit": 0}, "Argument 'limit' is 0"),
        ("find", {"collection": "x", "limit": 1001}, "Argument 'limit' is 1001"),
        ("find", {"collection": "x", "max_time_ms": 0}, "Argument 'max_time_ms' is 0"),
        ("find", {"collection": "../etc"}, "Argument 'collection' is"),
        ("find", {"collection": "x", "filter": {"a": {"$gt": 1, "b": 2}}}, "filter.a has b, which is not an allowed"),
        ("find", {"collection": "x", "filter": {"$where": "sleep(1e9)"}}, "has $where, which is not an allowed"),
        ("find", {"collection": "x", "filter": {"a": {"$where": "1"}}}, "it runs code on the database"),
        ("find", {"collection": "x", "filter": {"$expr": {"$eq": [1, 1]}}}, "has $expr, which is not an allowed"),
        ("find", {"collection": "x", "filter": {"$jsonSchema": {}}}, "has $jsonSchema"),
        ("find", {"collection": "x", "filter": {"$text": {"$search": "x"}}}, "has $text"),
        ("find", {"collection": "x", "filter": {"$comment": "x"}}, "has $comment"),
        ("find", {"collection": "x", "filter": {"a": {"$near": [0, 0]}}}, "has $near"),
        ("find", {"collection": "x", "filter": {"a": {"$regx": "x"}}}, "Did you mean $regex?"),
        ("find", {"collection": "x", "filter": {"a": {"$in": 5}}}, "filter.a.$in is 5: send an array"),
        ("find", {"collection": "x", "filter": {"a": {"$in": [{"$gt": 1}]}}}, "names that begin with $ are operators"),
        ("find", {"collection": "x", "filter": {"a": {"$options": "i"}}}, "has $options"),
        ("find", {"collection": "x", "filter": {"a": {"$regex": 5}}}, "send the pattern"),
        ("find", {"collection": "x", "filter": {"a": {"$mod": [0, 1]}}}, "no divisor 0"),
        ("find", {"collection": "x", "filter": {"a": {"$exists": 1}}}, "send true or false"),
        ("find", {"collection": "x", "filter": {"a": {"$size": -1}}}, "send the number of elements"),
        ("find", {"collection": "x", "filter": {"a": {"$type": "javascript"}}}, "send one or several of string"),
        ("find", {"collection": "x", "filter": {"a": {"$not": 5}}}, "send operators"),
        ("find", {"collection": "x", "filter": {"$or": []}}, "filter.$or is empty"),
        ("find", {"collection": "x", "filter": {"$or": [5]}}, "filter.$or[0] is 5: send an object"),
        ("find", {"collection": "x", "filter": {"a..b": 1}}, 'has the path "a..b"'),
        ("find", {"collection": "x", "filter": {"a.$b": 1}}, "'$b' is not allowed"),
        ("find", {"collection": "x", "filter": {"a": {"$date": "yesterday"}}}, "send ISO 8601 with a time zone"),
        ("find", {"collection": "x", "filter": {"a": {"$date": "2026-01-01T00:00:00"}}}, "with a time zone"),
        ("find", {"collection": "x", "filter": {"a": {"$oid": "xyz"}}}, "24 hexadecimal digits"),
        ("find", {"collection": "x", "filter": {"a": 2**70}}, "send an integer of at most 64 bits"),
        ("find", {"collection": "x", "filter": {"a": {"$in": list(range(10_001))}}}, "send 10000 at most"),
        ("find", {"collection": "x", "filter": {"$or": [{"a": 1}] * 501}}, "more than 500 conditions"),
        ("find", {"collection": "x", "projection": {"a": {"$slice": 1}}}, "send 1 to keep the field"),
        ("find", {"collection": "x", "projection": {"a": 1, "b": 0}}, "keeps some fields and drops others"),
        ("find", {"collection": "x", "sort": {"a": "up"}}, "send 1 for the least first"),
        ("find", {"collection": "x", "sort": {"$natural": 1}}, "'$natural' is not allowed"),
        ("insert", {"collection": "x", "documents": []}, "Argument 'documents' is []"),
        ("insert", {"collection": "x", "documents": [{}] * 1001}, "Argument 'documents' is"),
        ("insert", {"collection": "x", "documents": ["x"]}, "Argument 'documents[0]' is"),
        ("insert", {"collection": "x", "documents": [{"a.b": 1}]}, "use a name without dots and NUL"),
        ("insert", {"collection": "x", "documents": [{"a": [{"$set": 1}]}]}, "documents[0].a[0] has a field '$set'"),
        ("insert", {"collection": "x", "documents": [{"": 1}]}, "a field without a name"),
        ("insert", {"collection": "x", "documents": [{"a\0": 1}]}, "without dots and NUL"),
        ("insert", {"collection": "x", "documents": [{"_id": None}]}, "documents[0]._id is null: send text"),
        ("insert", {"collection": "x", "documents": [{"_id": True}]}, "documents[0]._id is true"),
        ("insert", {"collection": "x", "documents": [{"_id": 1.5}]}, "documents[0]._id is 1.5"),
        ("insert", {"collection": "x", "documents": [{"_id": {"a": 1}}]}, "documents[0]._id is {"),
        ("insert", {"collection": "x", "documents": [{"_id": "x" * 1025}]}, "1 to 1024 characters"),
        ("update", {**ALL, "update": {}}, "send operators"),
        (
            "update",
            {**ALL, "update": {"a": 1}},
            "to replace a document, delete and insert it",
        ),
        ("update", {**ALL, "update": {"$set": 5}}, "send an object of fields"),
        ("update", {**ALL, "update": {"$set": {"_id": 5}}}, "never changes"),
        ("update", {**ALL, "update": {"$bit": {"a": 1}}}, "not an allowed update operator"),
        (
            "update",
            {**ALL, "update": {"$set": {"a": 1}, "$inc": {"a.b": 1}}},
            "same field as 'a'",
        ),
        (
            "update",
            {**ALL, "update": {"$rename": {"a": "b", "b": "c"}}},
            "name each field once",
        ),
        ("update", {**ALL, "update": {"$set": {"a.$[].b": 1}}}, "'$[]' is not allowed"),
        ("update", {**ALL, "update": {"$set": {"a": {"$gt": 1}}}}, "begin with $"),
        ("update", {**ALL, "update": {"$inc": {"a": "1"}}}, "send a number"),
        (
            "update",
            {**ALL, "update": {"$push": {"a": {"$slice": 1}}}},
            "not an allowed modifier",
        ),
        (
            "update",
            {**ALL, "update": {"$push": {"a": {"$each": 1}}}},
            "$each is 1: send an array",
        ),
        ("update", {**ALL, "update": {"$pop": {"a": 2}}}, "send 1 for the last"),
        ("update", {**ALL, "update": {"$currentDate": {"a": 1}}}, "send true"),
        ("update", {**ALL, "update": {"$pull": {"a": {"$where": 1}}}}, "it runs code"),
        (
            "update",
            {**ALL, "update": {"$set": {"a": 1}}, "many": True, "upsert": True},
            "send one",
        ),
        (
            "update",
            {"collection": "x", "filter": {"a.b": 1}, "update": {"$set": {"c": 1}}, "upsert": True},
            "name the whole",
        ),
        ("delete", {"collection": "x"}, "Argument 'filter' is missing"),
        ("aggregate", {"collection": "x", "pipeline": {}}, "Argument 'pipeline' is"),
        ("get", {"collection": "x", "id": {}}, "Argument 'id' is"),
        ("create_collection", {"collection": "x", "schema": {"$ref": "http://example.org/x"}}, "not checked here"),
        ("create_collection", {"collection": "slipway_x"}, "belongs to the platform"),
    ],
)
async def test_bad_input_is_a_tool_error_that_says_what_to_send(
    call: Any, name: str, arguments: Any, fault: str
) -> None:
    await call("insert", {"collection": "x", "documents": [{"_id": 1, "a": [1]}]})
    before = await call("find", {"collection": "x"})
    result = await call(name, arguments)
    assert result["isError"] is True
    assert fault in result["content"][0]["text"]
    assert len(result["content"][0]["text"]) < 700
    assert await call("find", {"collection": "x"}) == before


async def test_deep_nesting_is_refused_and_breaks_nothing(call: Any) -> None:
    for depth in (60, 900):
        nested = '{"a":' * depth + "1" + "}" * depth
        result = await call("insert", f'{{"collection": "x", "documents": [{nested}]}}')
        assert "nested more than 50 levels deep" in result["content"][0]["text"]
        result = await call("find", f'{{"collection": "x", "filter": {nested}}}')
        assert result["isError"] is True
        schema = '{"items":' * depth + "{}" + "}" * depth
        result = await call("create_collection", f'{{"collection": "y", "schema": {schema}}}')
        assert result["isError"] is True


HOSTILE = ["<script>alert(1)</script>", "{{7*7}} ${x} %s", "\u001b[31m\u202e", "'; DROP TABLE documents; --", "\ud7ff"]


@pytest.mark.parametrize("text", HOSTILE)
async def test_text_is_kept_as_it_is_however_hostile(call: Any, text: str) -> None:
    document = {"_id": text, text: f"{text}\0"}
    await call("insert", {"collection": "x", "documents": [document, {"_id": 1}]})
    got = await call("get", {"collection": "x", "id": text})
    assert got["structuredContent"]["document"] == document
    found = await call("find", {"collection": "x", "filter": {text: f"{text}\0"}})
    assert found["structuredContent"]["documents"] == [document]


async def test_whatever_is_sent_a_tool_answers_or_refuses(store: DocumentStore, context: CallContext) -> None:
    registry = load(["documents"], given=[Documents(store)])
    random.seed(7)
    pieces: list[Any] = [None, True, 0, -1, 2**63, 1.5, "", "$x", "a.b", "{{x}}", [], {}, "x", [1], {"$gt": 1}]
    keys = [
        "a",
        "$set",
        "$match",
        "$group",
        "$regex",
        "$in",
        "$and",
        "_id",
        "a.b",
        "$",
        "",
        "type",
        "properties",
        "$not",
    ]

    def anything(depth: int) -> Any:
        if depth == 0 or random.random() < 0.3:
            return random.choice(pieces)
        if random.random() < 0.3:
            return [anything(depth - 1) for _ in range(random.randint(0, 3))]
        return {random.choice(keys): anything(depth - 1) for _ in range(random.randint(0, 3))}

    for _ in range(1_500):
        tool = random.choice(registry.tools())
        takes = tool.definition.input_schema["properties"]
        sent = {name: "x" if name == "collection" else anything(4) for name in takes if random.random() < 0.9}
        with contextlib.suppress(InvalidArguments, ToolFailure):
            await tool.call(Raw(msgspec.json.encode(sent)), context)

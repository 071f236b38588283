"""Pipelines as they are evaluated here, against what MongoDB's manual says; FerretDB 1.24 has few of these."""

from __future__ import annotations

from typing import Any

import pytest

from app.toolsets.documents.errors import Refused

SALES = [
    {"_id": 1, "item": "abc", "price": 10, "quantity": 2, "at": {"$date": "2026-01-31T23:30:00Z"}, "sizes": ["S", "M"]},
    {"_id": 2, "item": "xyz", "price": 5.5, "quantity": 1, "at": {"$date": "2026-02-01T00:00:00Z"}, "sizes": []},
    {"_id": 3, "item": "abc", "price": 4, "quantity": 0, "sizes": "L"},
    {"_id": 4, "item": None, "price": "free", "sizes": None},
]


@pytest.mark.parametrize(
    ("accumulator", "expected"),
    [
        ({"$avg": "$price"}, [5.5, 7.0, None]),
        ({"$min": "$price"}, [5.5, 4, "free"]),
        ({"$max": "$price"}, [5.5, 10, "free"]),
        ({"$first": "$quantity"}, [1, 2, None]),
        ({"$last": "$_id"}, [2, 3, 4]),
        ({"$push": "$quantity"}, [[1], [2, 0], []]),
        ({"$addToSet": "$item"}, [["xyz"], ["abc"], [None]]),
        ({"$sum": {"$multiply": ["$price", "$quantity"]}}, [5.5, 20, 0]),
        ({"$sum": "$missing"}, [0, 0, 0]),
    ],
)
async def test_a_group_gathers(embedded, accumulator: dict[str, Any], expected: list[Any]) -> None:
    await embedded.insert(*SALES)
    stages: list[dict[str, Any]] = [
        {"$match": {"_id": {"$ne": 4}}} if "$multiply" in str(accumulator) else {"$match": {}},
        {"$group": {"_id": "$item", "value": accumulator}},
        {"$sort": {"_id": -1}},
    ]
    found = [group["value"] for group in await embedded.aggregate(*stages)]
    assert found == expected[: len(found)]
    assert len(found) >= 2


async def test_a_group_can_be_by_several_fields_and_by_none(embedded) -> None:
    await embedded.insert(*SALES)
    by = {"_id": {"item": "$item", "cheap": {"$lt": ["$price", 5]}}, "n": {"$sum": 1}}
    assert await embedded.aggregate({"$match": {"item": "abc"}}, {"$group": by}, {"$sort": {"_id": 1}}) == [
        {"_id": {"item": "abc", "cheap": False}, "n": 1},
        {"_id": {"item": "abc", "cheap": True}, "n": 1},
    ]
    assert await embedded.aggregate({"$group": {"_id": None, "n": {"$count": {}}}}) == [{"_id": None, "n": 4}]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("$price", 10),
        ("$missing", ...),
        ("$at", {"$date": "2026-01-31T23:30:00Z"}),
        ({"$literal": "$price"}, "$price"),
        ({"$add": ["$price", "$quantity", 0.5]}, 12.5),
        ({"$add": ["$price", "$missing"]}, None),
        ({"$subtract": ["$price", 1]}, 9),
        ({"$divide": ["$price", 4]}, 2.5),
        ({"$concat": ["$item", "-", {"$toUpper": "$item"}]}, "abc-ABC"),
        ({"$concat": ["$item", None]}, None),
        ({"$toLower": "$missing"}, ""),
        ({"$ifNull": ["$missing", "none"]}, "none"),
        ({"$cond": [{"$gte": ["$quantity", 2]}, "many", "few"]}, "many"),
        ({"$cond": {"if": {"$and": ["$price", False]}, "then": 1, "else": 2}}, 2),
        ({"$or": [0, "$item"]}, True),
        ({"$not": ["$missing"]}, True),
        ({"$eq": ["$quantity", 2.0]}, True),
        ({"$gt": ["$missing", None]}, False),
        ({"$lt": ["$missing", None]}, True),
        ({"$ne": ["$item", "abc"]}, False),
        ({"$size": "$sizes"}, 2),
        ({"$sum": [1, "$price", "text"]}, 11),
        ({"$max": ["$price", "$quantity"]}, 10),
        ({"$avg": "$sizes"}, None),
        ({"$min": "$sizes"}, "M"),
        ({"$year": "$at"}, 2026),
        ({"$month": "$at"}, 1),
        ({"$dayOfMonth": "$at"}, 31),
        ({"$month": "$missing"}, None),
        ({"a": "$price", "b": ["$quantity", "$missing"], "c": "$missing"}, {"a": 10, "b": [2, None]}),
        (True, True),
        (5, 5),
    ],
)
async def test_an_expression_gives_its_value(embedded, expression: Any, expected: Any) -> None:
    await embedded.insert(*SALES)
    (found,) = await embedded.aggregate({"$match": {"_id": 1}}, {"$set": {"value": expression}})
    assert found.get("value", ...) == expected
    assert type(found.get("value", ...)) is type(expected)


@pytest.mark.parametrize(
    ("operand", "expected"),
    [
        ("$sizes", [(1, "S"), (1, "M"), (3, "L")]),
        ({"path": "$sizes", "includeArrayIndex": "at"}, [(1, "S"), (1, "M"), (3, "L")]),
        ({"path": "$sizes", "preserveNullAndEmptyArrays": True}, [(1, "S"), (1, "M"), (2, ...), (3, "L"), (4, None)]),
    ],
)
async def test_unwinding_makes_a_document_of_each_element(embedded, operand: Any, expected: list[Any]) -> None:
    await embedded.insert(*SALES)
    found = await embedded.aggregate({"$unwind": operand})
    assert [(document["_id"], document.get("sizes", ...)) for document in found] == expected
    assert all("price" in document for document in found)
    if "includeArrayIndex" in operand:
        assert [document["at"] for document in found] == [0, 1, None]


async def test_a_projection_can_make_fields_and_keep_others(embedded) -> None:
    await embedded.insert(*SALES)
    made = {"item": 1, "total": {"$multiply": ["$price", "$quantity"]}, "copy": "$price"}
    assert await embedded.aggregate({"$match": {"_id": 1}}, {"$project": made}) == [
        {"_id": 1, "item": "abc", "total": 20, "copy": 10}
    ]
    assert await embedded.aggregate({"$match": {"_id": 1}}, {"$project": {"_id": 0, "copy": "$price"}}) == [
        {"copy": 10}
    ]


async def test_a_stage_does_not_change_what_is_stored(embedded) -> None:
    await embedded.insert(*SALES)
    await embedded.aggregate({"$set": {"price": 0}}, {"$unset": "item"}, {"$unwind": "$sizes"})
    assert (await embedded.find({"_id": 1}))[0]["price"] == 10


@pytest.mark.parametrize(
    ("stage", "fault"),
    [
        (
            {"$lookup": {"from": "x"}},
            r"pipeline\[0\] has \$lookup, .* not an allowed stage: it reads other collections",
        ),
        ({"$graphLookup": {}}, "it reads other collections"),
        ({"$unionWith": "x"}, "it reads other collections"),
        ({"$facet": {}}, r"not an allowed stage\. Use \$match"),
        ({"$out": "x"}, "it writes; use insert, update or delete"),
        ({"$merge": "x"}, "it writes"),
        ({"$function": {}}, "it runs code on the database"),
        ({"$macth": {}}, r"Did you mean \$match\?"),
        ({"$match": {"$where": "1"}}, r"\$where, which is not an allowed operator .*it runs code"),
        ({"$match": {"$expr": {"$function": {"body": "x"}}}}, r"has \$expr"),
        ({"$match": []}, "send an object"),
        ({"$group": {"n": {"$sum": 1}}}, "has no _id"),
        ({"$group": {"_id": None, "n": {"$accumulator": {}}}}, "not an allowed accumulator: it runs code"),
        ({"$group": {"_id": None, "n": 5}}, "send one accumulator"),
        ({"$group": {"_id": None, "a.b": {"$sum": 1}}}, "no name for a field"),
        ({"$group": {"_id": {"$function": {}}, "n": {"$sum": 1}}}, "it runs code"),
        ({"$set": {"n": {"$function": {"body": "x", "args": [], "lang": "js"}}}}, "it runs code"),
        ({"$set": {"n": "$$ROOT"}}, "variables are not allowed"),
        ({"$set": {"n": {"$add": [1], "$sum": 1}}}, "send one operator"),
        ({"$set": {"a.b": 1}}, "name a field without dots"),
        ({"$set": {"n": {"$divide": ["$price", "$quantity"]}}}, "divides by 0"),
        ({"$set": {"n": {"$add": ["$item", 1]}}}, "only numbers can be reckoned with"),
        ({"$set": {"n": {"$size": "$price"}}}, "only an array has a size"),
        ({"$set": {"n": {"$year": "$item"}}}, "only a date has it"),
        ({"$set": {"n": {"$subtract": [1]}}}, "has 1 arguments: send an array of 2"),
        ({"$set": {"n": {"$cond": [1, 2]}}}, r"send \[if, then, else\]"),
        ({"$project": {"a": 1, "b": 0}}, "send only 1 or only 0"),
        ({"$project": {"a": "$b", "c": 0}}, "drop them with"),
        ({"$project": {"a": 1, "a.b": 1}}, "a part of it or the whole"),
        ({"$project": {}}, "one or more"),
        ({"$sort": {"a": 2}}, "send 1 for the least first"),
        ({"$sort": {}}, "send 1 to 10 fields"),
        ({"$limit": 0}, "send an integer, 1 or more"),
        ({"$limit": True}, "send an integer"),
        ({"$skip": -1}, "0 or more"),
        ({"$count": "$n"}, "send the name of a field"),
        ({"$unwind": "sizes"}, "send the path of the array"),
        ({"$unwind": {"path": "$sizes", "x": 1}}, "not an allowed option"),
        ({"$unset": [1]}, "send a field's name"),
        ({}, "send an object with one stage"),
        ({"$match": {}, "$limit": 1}, "send an object with one stage"),
    ],
)
async def test_a_stage_that_is_not_allowed_or_wrong_is_refused(embedded, stage: dict[str, Any], fault: str) -> None:
    await embedded.insert(*SALES)
    with pytest.raises(Refused, match=fault):
        await embedded.aggregate(stage)


async def test_a_pipeline_of_too_many_stages_is_refused(embedded) -> None:
    with pytest.raises(Refused, match="has 21 stages: send 20 at most"):
        await embedded.aggregate(*({"$limit": 1} for _ in range(21)))

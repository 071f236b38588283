"""What holds of documents in every store."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.toolsets.documents.errors import Refused

PEOPLE = [
    {"_id": "ada", "age": 36, "tags": ["math", "code"], "home": {"city": "London", "zip": "W1"}, "score": 2.5},
    {"_id": "bo", "age": 5, "tags": [], "home": None},
    {"_id": "cy", "age": 61, "tags": ["code"], "home": {"city": "Oslo"}, "alive": False},
    {"_id": "di", "name": "Di", "born": {"$date": "1990-05-01T00:00:00Z"}, "score": 2},
    {"_id": 7, "lines": [{"n": 1, "ok": True}, {"n": 5, "ok": False}], "name": "seven"},
    {"_id": {"$oid": "0123456789abcdef01234567"}, "age": 36.0, "name": "DI"},
]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({}, [7, "ada", "bo", "cy", "di", {"$oid": "0123456789abcdef01234567"}]),
        ({"age": 36}, ["ada", {"$oid": "0123456789abcdef01234567"}]),
        ({"age": {"$gt": 5, "$lt": 60}}, ["ada", {"$oid": "0123456789abcdef01234567"}]),
        ({"age": {"$gte": 36}, "_id": {"$ne": "cy"}}, ["ada", {"$oid": "0123456789abcdef01234567"}]),
        ({"age": {"$in": [5, 61, "5"]}}, ["bo", "cy"]),
        ({"age": {"$nin": [5, 61, 36]}}, [7, "di"]),
        ({"age": {"$exists": False}}, [7, "di"]),
        ({"home": None}, [7, "bo", "di", {"$oid": "0123456789abcdef01234567"}]),
        ({"home": {"$gte": None}}, [7, "bo", "di", {"$oid": "0123456789abcdef01234567"}]),
        ({"home": {"$lt": None}}, []),
        ({"home": {"$type": "null"}}, ["bo"]),
        ({"home.city": "Oslo"}, ["cy"]),
        ({"home": {"city": "Oslo"}}, ["cy"]),
        ({"tags": "code"}, ["ada", "cy"]),
        ({"tags": ["code"]}, ["cy"]),
        ({"tags": []}, ["bo"]),
        ({"tags": {"$all": ["code", "math"]}}, ["ada"]),
        ({"tags": {"$size": 1}}, ["cy"]),
        ({"tags.0": "math"}, ["ada"]),
        ({"lines.n": 5}, [7]),
        ({"tags": {"$elemMatch": {"$gt": "d", "$lt": "n"}}}, ["ada"]),
        ({"name": {"$regex": "^d"}}, []),
        ({"name": {"$regex": "^d", "$options": "i"}}, ["di", {"$oid": "0123456789abcdef01234567"}]),
        ({"name": {"$not": {"$regex": "e"}}, "age": {"$exists": False}}, ["di"]),
        ({"age": {"$mod": [2, 1]}}, ["bo", "cy"]),
        ({"score": {"$type": "double"}}, ["ada"]),
        ({"score": {"$type": ["number"]}}, ["ada", "di"]),
        ({"born": {"$lt": {"$date": "2000-01-01T00:00:00+02:00"}}}, ["di"]),
        ({"alive": False}, ["cy"]),
        ({"alive": 0}, []),
        ({"_id": {"$oid": "0123456789ABCDEF01234567"}}, [{"$oid": "0123456789abcdef01234567"}]),
        ({"$or": [{"age": 5}, {"name": "seven"}]}, [7, "bo"]),
        ({"$and": [{"age": {"$gt": 5}}, {"tags": "code"}]}, ["ada", "cy"]),
        ({"$nor": [{"age": {"$exists": True}}, {"name": "Di"}]}, [7]),
    ],
)
async def test_a_filter_finds_what_it_says(desk, wanted: dict[str, Any], expected: list[Any]) -> None:
    await desk.insert(*PEOPLE)
    assert await desk.ids(wanted) == expected


async def test_documents_come_back_as_they_were_sent(desk) -> None:
    sent = {
        "_id": "x",
        "text": "ünï \u0000 <b>{{x}}</b> \U0001f600",
        "number": 2**53 + 1,
        "large": -(2**63),
        "fraction": 0.1,
        "whole": 1.0,
        "nothing": None,
        "yes": True,
        "list": [1, {"a": []}, {}],
        "when": {"$date": "2026-01-31T12:00:00.250Z"},
        "id": {"$oid": "ffffffffffffffffffffffff"},
    }
    await desk.insert(sent)
    (found,) = await desk.find()
    assert found == sent
    assert list(found) == list(sent)
    assert isinstance(found["whole"], float)


async def test_documents_without_an_id_get_one_that_sorts_by_age(desk) -> None:
    ids = await desk.insert({"n": 1}, {"n": 2}) + await desk.insert({"n": 3})
    assert len(set(ids)) == 3
    assert [(document["_id"], document["n"]) for document in await desk.find()] == list(
        zip(ids, (1, 2, 3), strict=True)
    )


async def test_a_document_is_got_by_its_id_whatever_its_kind(desk) -> None:
    await desk.insert(*PEOPLE)
    for identity, name in ((7, "seven"), ("0123456789ABCDEF01234567", "DI"), ("di", "Di")):
        assert f'"{name}"'.encode() in bytes(await desk.documents.get("things", identity, {}))
    assert bytes(await desk.documents.get("things", 7, {"name": 1, "_id": 0})) == b'{"name":"seven"}'
    with pytest.raises(Refused, match="no document with the _id 8 in 'things'"):
        await desk.documents.get("things", 8, {})


async def test_a_second_document_with_an_id_is_refused_and_those_before_it_stay(desk) -> None:
    await desk.insert({"_id": "a", "n": 1})
    with pytest.raises(
        Refused, match=r'documents\[1\]: there is already a document with the _id "a"\. The 1 before it'
    ):
        await desk.insert({"_id": "b"}, {"_id": "a"}, {"_id": "c"})
    assert await desk.ids({}) == ["a", "b"]
    assert (await desk.find({"_id": "a"}))[0]["n"] == 1


@pytest.mark.parametrize(
    ("projection", "expected"),
    [
        ({"age": 1}, {"_id": "ada", "age": 36}),
        ({"home.city": 1, "_id": 0}, {"home": {"city": "London"}}),
        ({"tags": 0, "home": 0, "score": False}, {"_id": "ada", "age": 36}),
        ({"home.zip": 0, "tags": 0, "_id": 0}, {"age": 36, "home": {"city": "London"}, "score": 2.5}),
    ],
)
async def test_a_projection_chooses_fields(desk, projection: dict[str, Any], expected: dict[str, Any]) -> None:
    await desk.insert(*PEOPLE)
    assert await desk.find({"_id": "ada"}, projection=projection) == [expected]


async def test_sorting_goes_by_type_and_then_by_value_and_ties_by_id(desk) -> None:
    values = {"d": "b", "c": 2, "a": None, "f": True, "e": {"x": 1}, "b": -1.5, "h": 2}
    await desk.insert(*({"_id": key, "v": value} for key, value in values.items()), {"_id": "g"})
    assert await desk.ids({}, sort={"v": 1}) == ["a", "g", "b", "c", "h", "d", "e", "f"]
    assert await desk.ids({}, sort={"v": -1, "_id": -1}) == ["f", "e", "d", "h", "c", "b", "g", "a"]


async def test_pages_go_through_everything_once_whatever_is_deleted_meanwhile(desk) -> None:
    oids = [{"$oid": f"{n:024x}"} for n in range(3)]
    everything = [1, 2, 3, "x", "y", *oids]
    await desk.insert(*({"_id": identity} for identity in everything))
    seen, cursor = await desk.page(limit=2)
    while cursor is not None:
        await desk.delete({"_id": seen[-1]["_id"]})
        found, cursor = await desk.page(limit=2, cursor=cursor)
        seen += found
    assert [document["_id"] for document in seen] == everything


async def test_pages_of_a_sorted_answer_go_on_where_the_last_one_ended(desk) -> None:
    await desk.insert(*({"_id": n, "half": n // 2} for n in range(7)))
    seen: list[Any] = []
    cursor = None
    for _ in range(4):
        found, cursor = await desk.page({"half": {"$gte": 0}}, sort={"half": -1}, limit=2, cursor=cursor)
        seen += [document["_id"] for document in found]
    assert cursor is None
    assert seen == [6, 4, 5, 2, 3, 0, 1]


@pytest.mark.parametrize("cursor", ["", "e30=", "x" * 5_000, "WyJhIiwxLDFd", "\u00fc"])
async def test_a_cursor_that_is_none_is_refused(desk, cursor: str) -> None:
    await desk.insert({"_id": 1})
    with pytest.raises(Refused, match="cursor does not belong"):
        await desk.find(cursor=cursor)


async def test_a_cursor_of_another_question_is_refused(desk) -> None:
    await desk.insert({"_id": 1}, {"_id": 2})
    _, cursor = await desk.page(limit=1)
    with pytest.raises(Refused, match="cursor does not belong"):
        await desk.find({"n": 1}, cursor=cursor)


async def test_an_answer_has_no_more_bytes_than_allowed(make_desk) -> None:
    desk = make_desk(max_result_bytes=2_000)
    await desk.insert(*({"_id": n, "text": "x" * 900} for n in range(5)))
    found, cursor = await desk.page()
    assert [document["_id"] for document in found] == [0, 1]
    found, _ = await desk.page(cursor=cursor)
    assert [document["_id"] for document in found] == [2, 3]


async def test_a_document_too_large_for_an_answer_is_told_with_what_to_do(make_desk) -> None:
    desk = make_desk(max_result_bytes=2_000)
    await desk.insert({"_id": 1, "text": "x" * 3_000})
    with pytest.raises(Refused, match=r"an answer may have 2000. Name the fields you need in projection"):
        await desk.find()
    assert await desk.find(projection={"_id": 1}) == [{"_id": 1}]


async def test_a_document_or_an_update_above_the_limit_is_refused(make_desk) -> None:
    desk = make_desk(max_document_bytes=1_000)
    with pytest.raises(Refused, match=r"documents\[1\] has \d+ bytes: send at most 1000"):
        await desk.insert({"_id": 1}, {"text": "x" * 1_000})
    with pytest.raises(Refused, match=r"update has \d+ bytes: send at most 1000"):
        await desk.update({}, {"$set": {"text": "x" * 1_000}})
    assert [found.name for found in await desk.documents.collections()] == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"$set": {"n": 2}}, {"n": 2}),
        ({"$set": {"home.city": "Rome", "home.floor.number": 3}}, {"home": {"city": "Rome", "floor": {"number": 3}}}),
        ({"$set": {"tags.1": "z"}}, {"tags": ["a", "z"]}),
        ({"$set": {"tags.4": "z"}}, {"tags": ["a", "b", None, None, "z"]}),
        ({"$unset": {"n": ""}}, {"n": ...}),
        ({"$unset": {"nowhere.at.all": ""}}, {}),
        ({"$inc": {"n": 4, "new": -1}}, {"n": 5, "new": -1}),
        ({"$inc": {"n": 0.5}}, {"n": 1.5}),
        ({"$mul": {"n": 3, "new": 2}}, {"n": 3, "new": 0}),
        ({"$min": {"n": 0, "home.height": 5}}, {"n": 0, "home": {"city": "Oslo", "height": 5}}),
        ({"$max": {"n": 9}}, {"n": 9}),
        ({"$max": {"n": 0}}, {}),
        ({"$rename": {"n": "m"}}, {"n": ..., "m": 1}),
        ({"$push": {"tags": "a", "new": {"x": 1}}}, {"tags": ["a", "b", "a"], "new": [{"x": 1}]}),
        ({"$push": {"tags": {"$each": ["c", "d"]}}}, {"tags": ["a", "b", "c", "d"]}),
        ({"$addToSet": {"tags": "a"}}, {}),
        ({"$addToSet": {"tags": {"$each": ["c", "a", "c"]}}}, {"tags": ["a", "b", "c"]}),
        ({"$pull": {"tags": "a"}}, {"tags": ["b"]}),
        ({"$pop": {"tags": 1}}, {"tags": ["a"]}),
        ({"$pop": {"tags": -1}}, {"tags": ["b"]}),
        (
            {"$set": {"a": {"$date": "2026-01-01T00:00:00Z"}}, "$inc": {"n": 1}},
            {"a": {"$date": "2026-01-01T00:00:00Z"}, "n": 2},
        ),
    ],
)
async def test_an_update_changes_what_it_names(desk, change: dict[str, Any], expected: dict[str, Any]) -> None:
    before = {"_id": 1, "n": 1, "tags": ["a", "b"], "home": {"city": "Oslo"}}
    await desk.insert(before, {"_id": 2, "n": 1})
    wanted = {name: value for name, value in {**before, **expected}.items() if value is not ...}
    matched, modified, _ = await desk.update({"_id": 1}, change)
    assert (matched, modified) == (1, 1 if wanted != before else 0)
    assert await desk.find() == [wanted, {"_id": 2, "n": 1}]


async def test_an_update_of_one_leaves_the_others_and_an_update_of_many_does_not(desk) -> None:
    await desk.insert(*({"_id": n, "n": 0} for n in range(4)))
    assert await desk.update({"n": 0}, {"$set": {"n": 1}}) == (1, 1, None)
    assert await desk.update({"n": 0}, {"$set": {"n": 2}}, many=True) == (3, 3, None)
    assert sorted(document["n"] for document in await desk.find()) == [1, 2, 2, 2]
    assert await desk.update({"n": 9}, {"$set": {"n": 2}}, many=True) == (0, 0, None)


async def test_the_current_date_is_set_by_the_store(desk) -> None:
    await desk.insert({"_id": 1})
    await desk.update({"_id": 1}, {"$currentDate": {"at": True}})
    assert await desk.ids({"at": {"$gt": {"$date": "2020-01-01T00:00:00Z"}}}) == [1]


async def test_an_upsert_inserts_what_the_filter_and_the_update_say(desk) -> None:
    change = {"$set": {"n": 1}, "$setOnInsert": {"first": True}}
    matched, _, inserted = await desk.update({"_id": "a", "kind": {"$eq": "k"}, "n": {"$lt": 5}}, change, upsert=True)
    assert (matched, inserted) == (0, "a")
    assert await desk.find() == [{"_id": "a", "kind": "k", "n": 1, "first": True}]
    matched, modified, inserted = await desk.update({"kind": "k"}, {"$inc": {"n": 1}}, upsert=True)
    assert (matched, modified, inserted) == (1, 1, None)
    _, _, inserted = await desk.update({"kind": "other"}, {"$inc": {"n": 1}}, upsert=True)
    assert (await desk.find({"kind": "other"})) == [{"_id": inserted, "kind": "other", "n": 1}]


async def test_an_upsert_that_meets_its_own_id_says_so(desk) -> None:
    await desk.insert({"_id": "a", "n": 1})
    with pytest.raises(Refused, match="There is a document with that _id which does not match the filter"):
        await desk.update({"_id": "a", "n": 2}, {"$set": {"m": 1}}, upsert=True)


async def test_upserts_at_the_same_time_make_one_document(desk) -> None:
    await desk.insert({"_id": "other"})
    done = await asyncio.gather(*(desk.update({"_id": "x"}, {"$set": {"n": n}}, upsert=True) for n in range(20)))
    assert [inserted for _, _, inserted in done if inserted is not None] == ["x"]
    assert sum(matched for matched, _, _ in done) == 19
    assert await desk.ids({}) == ["other", "x"]


async def test_deleting_takes_one_or_all(desk) -> None:
    await desk.insert(*({"_id": n, "even": n % 2 == 0} for n in range(6)))
    assert await desk.delete({"even": True}) == 1
    assert await desk.delete({"even": True}, many=True) == 2
    assert await desk.delete({"even": True}, many=True) == 0
    assert await desk.delete({}, many=True) == 3
    assert await desk.find() == []


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        ([{"$match": {"kind": "a"}}, {"$count": "many"}], [{"many": 3}]),
        ([{"$match": {"kind": "z"}}, {"$count": "many"}], []),
        (
            [{"$group": {"_id": "$kind", "sum": {"$sum": "$n"}}}, {"$sort": {"_id": 1}}],
            [{"_id": None, "sum": 9}, {"_id": "a", "sum": 6.5}, {"_id": "b", "sum": 4}],
        ),
        (
            [{"$group": {"_id": "$kind", "all": {"$count": {}}}}, {"$sort": {"_id": -1}}],
            [{"_id": "b", "all": 1}, {"_id": "a", "all": 3}, {"_id": None, "all": 1}],
        ),
        ([{"$group": {"_id": None, "many": {"$sum": 1}}}], [{"_id": None, "many": 5}]),
        (
            [{"$sort": {"n": -1}}, {"$skip": 1}, {"$limit": 2}, {"$project": {"n": 1}}],
            [{"_id": 4, "n": 4}, {"_id": 3, "n": 3.5}],
        ),
        ([{"$sort": {"n": 1}}, {"$limit": 1}, {"$unset": ["kind", "tags"]}], [{"_id": 1, "n": 1}]),
        (
            [{"$match": {"_id": 1}}, {"$set": {"more": {"$sum": ["$n", 10]}}}, {"$unset": "tags"}],
            [{"_id": 1, "kind": "a", "n": 1, "more": 11}],
        ),
        (
            [{"$unwind": "$tags"}, {"$group": {"_id": "$tags", "c": {"$sum": 1}}}, {"$sort": {"c": -1, "_id": 1}}],
            [{"_id": "x", "c": 2}, {"_id": "y", "c": 1}],
        ),
        ([{"$project": {"_id": 0, "kind": 1}}, {"$match": {"kind": "b"}}], [{"kind": "b"}]),
    ],
)
async def test_a_pipeline_computes(desk, stages: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    await desk.insert(
        {"_id": 1, "kind": "a", "n": 1, "tags": ["x", "y"]},
        {"_id": 2, "kind": "a", "n": 2, "tags": ["x"]},
        {"_id": 3, "kind": "a", "n": 3.5, "tags": []},
        {"_id": 4, "kind": "b", "n": 4},
        {"_id": 5, "n": 9},
    )
    assert await desk.aggregate(*stages) == expected


async def test_a_long_result_of_a_pipeline_is_cut_and_says_so(desk) -> None:
    await desk.insert(*({"_id": n} for n in range(5)))
    found, truncated = await desk.documents.aggregate("things", [], limit=3, milliseconds=None)
    assert (len(found), truncated) == (3, True)
    found, truncated = await desk.documents.aggregate("things", [], limit=5, milliseconds=1_000)
    assert (len(found), truncated) == (5, False)


async def test_collections_are_listed_with_their_sizes_and_schemas(desk) -> None:
    schema = {"type": "object", "properties": {"$ref": {"type": "string"}, "a.b": {"enum": ["$x"]}}}
    await desk.documents.create("zoo", schema)
    await desk.insert({}, {}, into="ark")
    listed = [(found.name, found.documents, found.schema) for found in await desk.documents.collections()]
    assert listed == [("ark", 2, None), ("zoo", 0, schema)]


async def test_a_collection_is_created_once(desk) -> None:
    await desk.documents.create("zoo", None)
    with pytest.raises(Refused, match="already a collection 'zoo'"):
        await desk.documents.create("zoo", {"type": "object"})
    assert (await desk.documents.collections())[0].schema is None


@pytest.mark.parametrize("doing", ["find", "delete", "aggregate", "get", "set_schema"])
async def test_a_collection_that_does_not_exist_is_told_with_the_one_that_was_meant(desk, doing: str) -> None:
    await desk.insert({"_id": 1}, into="thing")
    service = desk.documents
    calls = {
        "find": desk.find,
        "delete": lambda: desk.delete({}),
        "aggregate": lambda: desk.aggregate({"$count": "n"}),
        "get": lambda: service.get("things", 1, {}),
        "set_schema": lambda: service.set_schema("things", None),
    }
    with pytest.raises(Refused, match=r"There is no collection 'things'. Did you mean 'thing'"):
        await calls[doing]()


PERSON = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer", "minimum": 0}},
    "additionalProperties": False,
}


async def test_documents_are_held_to_the_schema_when_inserted(desk) -> None:
    await desk.documents.create("things", PERSON)
    await desk.insert({"name": "Ada", "age": 36})
    with pytest.raises(Refused, match=r"documents\[1\] does not fit .*age is -1: send a number of at least 0"):
        await desk.insert({"name": "Bo"}, {"name": "Cy", "age": -1})
    assert [document["name"] for document in await desk.find()] == ["Ada"]


async def test_documents_are_held_to_the_schema_when_updated(desk) -> None:
    await desk.documents.create("things", PERSON)
    await desk.insert({"_id": 1, "name": "Ada", "age": 36}, {"_id": 2, "name": "Bo"})
    assert await desk.update({"_id": 2}, {"$set": {"age": 5}}) == (1, 1, None)
    for change, fault in (
        ({"$inc": {"age": -40}}, "age is -4"),
        ({"$unset": {"name": ""}}, "name is missing"),
        ({"$set": {"pet": "cat"}}, "pet is not one of the fields name, age"),
        ({"$rename": {"name": "age"}}, "name is missing"),
    ):
        with pytest.raises(Refused, match=rf"does not fit the schema.*{fault}"):
            await desk.update({"_id": 1}, change)
    with pytest.raises(Refused, match=r"the upsert would insert does not fit .*name is missing"):
        await desk.update({"_id": 3}, {"$set": {"age": 1}}, upsert=True)
    assert await desk.update({}, {"$inc": {"age": 1}}, many=True) == (2, 2, None)
    assert [document["age"] for document in await desk.find()] == [37, 6]


async def test_a_schema_that_is_set_later_holds_from_then_on(desk) -> None:
    await desk.insert({"_id": 1, "pet": "cat"})
    await desk.documents.set_schema("things", PERSON)
    with pytest.raises(Refused, match="name is missing"):
        await desk.insert({"age": 1})
    with pytest.raises(Refused, match="name is missing"):
        await desk.update({"_id": 1}, {"$set": {"age": 1}})
    await desk.documents.set_schema("things", None)
    await desk.insert({"age": 1})


@pytest.mark.parametrize("name", ["slipway_tools", "system.users", "a b", "", "$x", "1a", "x" * 121, "a\n", "../x"])
async def test_collections_of_the_platform_and_odd_names_are_refused(desk, name: str) -> None:
    for call in (
        desk.documents.insert(name, [{}]),
        desk.documents.create(name, None),
        desk.documents.delete(name, {}, many=True),
        desk.page(of=name),
    ):
        with pytest.raises(Refused, match=r"belongs to the platform|send a letter"):
            await call


async def test_collections_of_the_platform_are_not_listed(desk) -> None:
    await desk.documents.store.insert("slipway_tools", [{"_id": "x"}])
    assert await desk.documents.collections() == []


async def test_the_store_answers(store) -> None:
    await store.ping()

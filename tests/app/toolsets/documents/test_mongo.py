"""What is MongoDB's own: outages, other people's types and writers, and secrets in addresses."""

from __future__ import annotations

import asyncio
import gc
import logging
import warnings
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import bson
import msgspec
import pytest
from pymongo import AsyncMongoClient
from pymongo.errors import BulkWriteError, DuplicateKeyError, OperationFailure

from app.toolsets.documents._bson import CODEC, json_of
from app.toolsets.documents._mongo_errors import told
from app.toolsets.documents.errors import Refused, StoreAway, TookTooLong
from app.toolsets.documents.mongo import MongoStore, _update_one_checked
from app.toolsets.documents.schemas import CompiledSchema
from app.toolsets.documents.service import Documents, Limits, Wanted
from app.toolsets.documents.store import DuplicateId, Updated
from app.toolsets.documents.updates import compile_update

EVERYTHING = Wanted(filter={}, projection={}, sort={}, limit=50)


@pytest.fixture
async def other_writer(ferretdb: Any, database: str) -> AsyncIterator[Any]:
    """Somebody else's connection to the same database."""
    client: AsyncMongoClient[Any] = AsyncMongoClient(ferretdb.uri(database))
    yield client[database]
    await client.close()


@pytest.fixture
async def may_lose_sockets() -> AsyncIterator[None]:
    """pymongo leaves a socket to be collected when it cannot connect; it is collected before the next test."""
    yield
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        gc.collect()


def while_away(test: Any) -> Any:
    """Marks a test of a server that is not there."""
    ignored = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
    return pytest.mark.usefixtures("may_lose_sockets")(ignored(test))


@pytest.fixture
async def lonely(own_ferretdb: Any) -> AsyncIterator[Documents]:
    """Documents on a server that the test may stop."""
    store = MongoStore(own_ferretdb.uri("test"), seconds=1)
    yield Documents(store, Limits(seconds=1))
    await store.close()


def test_what_others_wrote_is_shown_as_extended_json() -> None:
    wrote = {
        "_id": bson.ObjectId("0123456789abcdef01234567"),
        "at": datetime(2026, 1, 31, 12, tzinfo=UTC),
        "never": bson.datetime_ms.DatetimeMS(2**60),
        "bytes": b"abc",
        "long": bson.Int64(2**40),
        "nan": float("nan"),
        "price": bson.Decimal128("1.10"),
        "stamp": bson.Timestamp(5, 1),
        "pattern": [bson.Regex("^a", "i")],
        "code": bson.Code("return 1"),
        "least": bson.MinKey(),
    }
    assert msgspec.json.decode(json_of(bson.decode(bson.encode(wrote), CODEC))) == {
        "_id": {"$oid": "0123456789abcdef01234567"},
        "at": {"$date": "2026-01-31T12:00:00Z"},
        "never": {"$date": {"$numberLong": str(2**60)}},
        "bytes": {"$binary": {"base64": "YWJj", "subType": "00"}},
        "long": 2**40,
        "nan": {"$numberDouble": "NaN"},
        "price": {"$numberDecimal": "1.10"},
        "stamp": {"$timestamp": {"t": 5, "i": 1}},
        "pattern": [{"$regularExpression": {"pattern": "^a", "options": "i"}}],
        "code": {"$code": "return 1"},
        "least": {"$minKey": 1},
    }


async def test_a_document_of_others_is_got_and_deleted_by_its_object_id(mongo: MongoStore, other_writer: Any) -> None:
    identity = bson.ObjectId()
    await other_writer.things.insert_one({"_id": identity, "at": datetime(2026, 1, 31, 12, tzinfo=UTC)})
    documents = Documents(mongo)
    found = msgspec.json.decode(await documents.get("things", str(identity), {}))
    assert found == {"_id": {"$oid": str(identity)}, "at": {"$date": "2026-01-31T12:00:00Z"}}
    assert await documents.delete("things", {"_id": {"$oid": str(identity)}}, many=False) == 1


async def test_pages_go_through_ids_of_every_kind(mongo: MongoStore, other_writer: Any) -> None:
    ids = [1.5, 2, "a", {"k": 1}, bson.ObjectId(), True, datetime(2026, 1, 1, tzinfo=UTC)]
    await other_writer.things.insert_many([{"_id": identity, "n": number} for number, identity in enumerate(ids)])
    documents, seen, cursor = Documents(mongo), [], None
    while True:
        wanted = Wanted(filter={}, projection={"n": 1}, sort={}, limit=1, cursor=cursor)
        found, cursor = await documents.find("things", wanted)
        seen += [msgspec.json.decode(document)["n"] for document in found]
        if cursor is None:
            break
    assert seen == [0, 1, 2, 3, 4, 5, 6]


async def test_a_change_tried_on_an_old_copy_is_tried_again_on_the_new_one(other_writer: Any) -> None:
    await other_writer.things.insert_one({"_id": 1, "n": 1, "more": {"a": [1, None]}})
    schema = CompiledSchema({"properties": {"n": {"maximum": 10}}})
    old = await other_writer.things.find_one({"_id": 1})

    async def change(by: int) -> Updated:
        change = compile_update({"$inc": {"n": by}, "$set": {"new": True}})
        return await _update_one_checked(other_writer.things, {"n": {"$lt": 9}}, old, change, schema)

    await other_writer.things.update_one({"_id": 1}, {"$set": {"n": 5}})
    assert await change(3) == Updated(1, 1)
    assert await other_writer.things.find_one() == {"_id": 1, "n": 8, "more": {"a": [1, None]}, "new": True}
    with pytest.raises(Refused, match="n is 11: send a number of at most 10"):
        await change(3)
    await other_writer.things.update_one({"_id": 1}, {"$set": {"n": 9}})
    assert await change(1) == Updated(0, 0)
    await other_writer.things.delete_one({"_id": 1})
    assert await change(1) == Updated(0, 0)


async def test_a_unique_index_of_others_is_respected(mongo: MongoStore, other_writer: Any) -> None:
    await other_writer.things.create_index("name", unique=True)
    documents = Documents(mongo)
    await documents.insert("things", [{"_id": 1, "name": "a"}, {"_id": 2, "name": "b"}])
    with pytest.raises(Refused):
        await documents.insert("things", [{"_id": 3, "name": "a"}])
    assert len((await documents.find("things", EVERYTHING))[0]) == 2


@while_away
async def test_a_server_that_is_gone_is_told_and_found_again(own_ferretdb: Any, lonely: Documents) -> None:
    await lonely.insert("things", [{"_id": 1}])
    own_ferretdb.kill()
    with pytest.raises((StoreAway, TookTooLong)):
        await lonely.find("things", EVERYTHING)
    with pytest.raises((StoreAway, TookTooLong)):
        await lonely.store.ping()
    own_ferretdb.start()
    assert len((await lonely.find("things", EVERYTHING))[0]) == 1


@while_away
async def test_a_server_that_hangs_is_not_waited_for_beyond_the_limit(own_ferretdb: Any, lonely: Documents) -> None:
    await lonely.insert("things", [{"_id": 1}])
    own_ferretdb.freeze()
    began = asyncio.get_running_loop().time()
    try:
        with pytest.raises(TookTooLong):
            await lonely.find("things", EVERYTHING)
        assert asyncio.get_running_loop().time() - began < 8
    finally:
        own_ferretdb.thaw()
    assert len((await lonely.find("things", EVERYTHING))[0]) == 1


@while_away
async def test_a_server_that_was_never_there_is_away(caplog: pytest.LogCaptureFixture) -> None:
    store = MongoStore("mongodb://ada:hunter2hunter2@127.0.0.1:9/test", seconds=1)
    with caplog.at_level(logging.DEBUG, "slipway"), pytest.raises((StoreAway, TookTooLong)) as caught:
        await store.ping()
    await store.close()
    assert "hunter2" not in f"{caught.value}{caplog.text}{store!r}"


@pytest.mark.parametrize(
    "uri", ["mongodb://", "mongodb://ada:hunter2:x@host/db", "mongodb://ada:hunter2@host:99999/db", "mongodb://h/a b"]
)
def test_an_address_that_is_none_is_refused_without_its_password(uri: str) -> None:
    with pytest.raises(ValueError, match="it cannot be understood") as caught:
        MongoStore(uri, seconds=1)
    assert "hunter2" not in str(caught.value)


async def test_the_address_names_the_database(ferretdb: Any) -> None:
    named, unnamed = (MongoStore(ferretdb.uri(name), seconds=5) for name in ("named", ""))
    assert (named._database.name, unnamed._database.name) == ("named", "slipway")
    await named.close()
    await unnamed.close()


def failed(index: int, code: int, key: dict[str, int] | None = None) -> BulkWriteError:
    """What pymongo raises when an insert fails at one document."""
    entry = {"index": index, "code": code, **({"keyPattern": key} if key else {})}
    return BulkWriteError({"writeErrors": [entry]})


@pytest.mark.parametrize(
    ("error", "expected", "said"),
    [
        (OperationFailure("x", 13, {"errmsg": "not allowed: secret"}), Refused, "does not allow the server's user"),
        (OperationFailure("x", 121), Refused, "would not fit the validator"),
        (OperationFailure("x", 2, {"errmsg": "bad value"}), Refused, "The database refused this: bad value"),
        (OperationFailure("x", 50, {}), Refused, "no reason given"),
        (DuplicateKeyError("x", 11000, {"keyPattern": {"name": 1}}), Refused, "Another document has the same name"),
        (failed(2, 11000, {"_id": 1}), DuplicateId, "2"),
        (failed(2, 11000, {"a": 1, "b": 1}), Refused, r"documents\[2\] has the same a, b"),
        (failed(1, 121), Refused, r"documents\[1\] does not fit the validator"),
        (failed(0, 8), Refused, r"refused documents\[0\] \(code 8\)"),
    ],
)
def test_what_the_server_refuses_is_told_in_our_words(error: Exception, expected: type[Exception], said: str) -> None:
    with pytest.raises(expected, match=said) as caught, told(5):
        raise error
    assert "secret" not in str(caught.value)

"""What is SQLite's own: files, threads, limits; and what FerretDB 1.24 lacks or does otherwise than MongoDB."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.toolsets.documents.budget import Budget
from app.toolsets.documents.errors import Refused, StoreAway, TookTooLong
from app.toolsets.documents.service import Documents, Limits
from app.toolsets.documents.sqlite import SqliteStore

MIB = 1024 * 1024


@pytest.fixture
async def open_store() -> Any:
    """Opens stores that are closed when the test ends."""
    opened: list[SqliteStore] = []

    def make(path: Path | None = None, *, max_bytes: int = 64 * MIB, seconds: float = 10) -> SqliteStore:
        opened.append(SqliteStore(path, max_bytes=max_bytes, seconds=seconds))
        return opened[-1]

    yield make
    for store in opened:
        await store.close()


OpenStore = Callable[..., SqliteStore]


async def test_what_is_in_a_file_is_there_the_next_time(open_store: OpenStore, tmp_path: Path) -> None:
    path = tmp_path / "documents.sqlite"
    schema = {"type": "object", "required": ["n"]}
    first = Documents(open_store(path))
    await first.create("things", schema)
    await first.insert("things", [{"_id": 1, "n": 1}])
    await first.store.close()
    second = Documents(open_store(path))
    assert [(found.name, found.documents, found.schema) for found in await second.collections()] == [
        ("things", 1, schema)
    ]
    with pytest.raises(Refused, match="n is missing"):
        await second.insert("things", [{}])


async def test_two_processes_write_to_one_file_and_lose_nothing(open_store: OpenStore, tmp_path: Path) -> None:
    path = tmp_path / "documents.sqlite"
    documents = Documents(open_store(path))
    await documents.insert("things", [{"_id": "count", "n": 0}])
    program = f"""
        import asyncio
        from pathlib import Path
        from app.toolsets.documents.service import Documents
        from app.toolsets.documents.sqlite import SqliteStore

        async def main():
            documents = Documents(SqliteStore(Path({str(path)!r}), max_bytes={MIB}, seconds=10))
            for _ in range(100):
                await documents.update("things", {{}}, {{"$inc": {{"n": 1}}}}, many=False, upsert=False)
            await documents.store.close()

        asyncio.run(main())
    """
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", textwrap.dedent(program))
    for _ in range(100):
        await documents.update("things", {}, {"$inc": {"n": 1}}, many=False, upsert=False)
    assert await asyncio.wait_for(other.wait(), 60) == 0
    assert b'"n":200' in bytes(await documents.get("things", "count", {}))


async def test_changes_at_the_same_time_all_count(embedded) -> None:
    await embedded.documents.create("things", {"properties": {"n": {"maximum": 30}}})
    await embedded.insert({"_id": "count", "n": 0})
    await asyncio.gather(*(embedded.update({"_id": "count"}, {"$inc": {"n": 1}}) for _ in range(30)))
    assert await embedded.find() == [{"_id": "count", "n": 30}]
    with pytest.raises(Refused, match="n is 31: send a number of at most 30"):
        await embedded.update({}, {"$inc": {"n": 1}})


async def test_an_update_of_many_that_fails_at_one_changes_none(embedded) -> None:
    await embedded.insert({"_id": 1, "n": 1}, {"_id": 2, "n": "text"})
    with pytest.raises(Refused, match=r'update\.\$inc\.n: the field holds "text", which is no number'):
        await embedded.update({}, {"$inc": {"n": 1}}, many=True)
    assert await embedded.find() == [{"_id": 1, "n": 1}, {"_id": 2, "n": "text"}]


async def test_an_update_of_an_unknown_collection_is_told(embedded) -> None:
    with pytest.raises(Refused, match="There is no collection 'things'"):
        await embedded.update({}, {"$set": {"a": 1}})


async def test_a_full_store_says_so_and_takes_documents_again_once_some_are_deleted(open_store: OpenStore) -> None:
    documents = Documents(open_store(max_bytes=MIB), Limits(seconds=10))
    large = [{"_id": n, "text": "x" * 200_000} for n in range(10)]
    await documents.insert("things", large[:3])
    with pytest.raises(Refused, match=f"The document store is full: it may hold {MIB} bytes"):
        await documents.insert("things", large[3:])
    assert await documents.delete("things", {}, many=True) == 3
    await documents.insert("things", [{"_id": 0, "text": "x" * 200_000}])


async def test_a_question_that_takes_too_long_ends_and_the_store_goes_on(open_store: OpenStore) -> None:
    documents = Documents(open_store(), Limits(seconds=10))
    await documents.insert("things", [{"_id": n, "list": list(range(100))} for n in range(50)])
    stages = [{"$unwind": "$list"}, {"$set": {"copy": "$list", "list": [1, 2, 3, 4, 5, 6, 7, 8, 9]}}]
    endless = [*stages, *({"$unwind": "$list"}, {"$set": {"list": list(range(99))}}) * 6, {"$match": {"no": 1}}]
    with pytest.raises(TookTooLong, match=r"not found within 0\.05 s"):
        await documents.aggregate("things", endless, limit=1, milliseconds=50)
    assert await documents.delete("things", {}, many=True) == 50


async def test_an_insert_that_runs_out_of_time_inserts_nothing(embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    await embedded.insert({"_id": 0})
    checks = iter(range(5))

    def check(budget: Budget) -> None:
        if next(checks) == 4:
            raise TookTooLong(budget.seconds)

    with monkeypatch.context() as patched:
        patched.setattr(Budget, "check", check)
        with pytest.raises(TookTooLong):
            await embedded.insert(*({"_id": n} for n in range(1, 6)))
    assert await embedded.ids({}) == [0]


async def test_time_spent_waiting_for_others_counts(open_store: OpenStore) -> None:
    store = open_store(seconds=0.0)
    with pytest.raises(TookTooLong):
        await store.exists("things")


async def test_what_would_hold_too_many_values_is_refused(embedded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.toolsets.documents.budget.Budget.__init__.__kwdefaults__", {"most_held": 3})
    await embedded.insert(*({"_id": n} for n in range(4)))
    for call in (
        embedded.find(sort={"n": 1}),
        embedded.aggregate({"$sort": {"n": 1}}),
        embedded.aggregate({"$group": {"_id": None, "all": {"$push": "$_id"}}}),
    ):
        with pytest.raises(Refused, match="would sort or group more than 3 values: narrow it"):
            await call
    assert len(await embedded.find()) == 4


async def test_a_document_never_grows_beyond_what_mongodb_takes(open_store: OpenStore) -> None:
    documents = Documents(open_store(max_bytes=256 * MIB), Limits(seconds=20, max_document_bytes=9 * MIB))
    await documents.insert("things", [{"_id": 1, "a": "x" * 8 * MIB}])
    with pytest.raises(Refused, match=r"would have 17[0-9]{6} bytes: the most is 16777216"):
        await documents.update("things", {}, {"$set": {"b": "x" * (8 * MIB + 900_000)}}, many=False, upsert=False)


def test_a_file_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    for path in (tmp_path / "no" / "such" / "folder", tmp_path):
        with pytest.raises(OSError, match="SQLite cannot open"):
            SqliteStore(path, max_bytes=MIB, seconds=1)
    other = tmp_path / "other"
    other.write_bytes(b"This is no database, and long enough to be sure of it. " * 20)
    with pytest.raises(OSError, match="file is not a database"):
        SqliteStore(other, max_bytes=MIB, seconds=1)


def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "documents.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(OSError, match=r"written by a newer slipway \(format 99, known: 1\)"):
        SqliteStore(path, max_bytes=MIB, seconds=1)


async def test_a_file_that_is_locked_by_others_is_away(open_store: OpenStore, tmp_path: Path) -> None:
    path = tmp_path / "documents.sqlite"
    documents = Documents(open_store(path, seconds=0.3))
    await documents.insert("things", [{"_id": 1}])
    blocker = sqlite3.connect(path, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises((StoreAway, TookTooLong)):
            await documents.insert("things", [{"_id": 2}])
        assert await documents.store.exists("things")
    finally:
        blocker.close()
    await documents.insert("things", [{"_id": 2}])


@pytest.fixture
def things() -> Iterator[list[dict[str, Any]]]:
    return [
        {"_id": 1, "lines": [{"n": 1, "ok": True}, {"n": 5, "ok": False}], "deep": [[1, 2], [3]]},
        {"_id": 2, "lines": [{"n": 5, "ok": True}], "deep": []},
    ]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"lines": {"$elemMatch": {"n": 5, "ok": False}}}, [1]),
        ({"lines": {"$elemMatch": {"n": {"$gt": 1}, "ok": True}}}, [2]),
        ({"lines": {"$elemMatch": {"$or": [{"n": 1}, {"ok": None}]}}}, [1]),
        ({"lines": {"$not": {"$elemMatch": {"n": 1}}}}, [2]),
        ({"deep": [3]}, [1]),
        ({"deep": {"$size": 0}}, [2]),
        ({"lines.1.n": 5}, [1]),
        ({"lines.n": {"$nin": [1]}}, [2]),
        ({"lines.n": {"$all": [1, 5]}}, [1]),
    ],
)
async def test_arrays_of_objects_are_searched_as_mongodb_does(
    embedded, things, wanted: dict[str, Any], expected: list[int]
) -> None:
    await embedded.insert(*things)
    assert await embedded.ids(wanted) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"$pull": {"tags": {"$in": ["a", "c"]}}}, {"tags": ["b"]}),
        ({"$pull": {"lines": {"n": {"$gt": 1}}}}, {"lines": [{"n": 1}]}),
        ({"$pull": {"nowhere": 1}}, {}),
        ({"$set": {"lines.0.n": 9}}, {"lines": [{"n": 9}, {"n": 2}]}),
        ({"$unset": {"tags.0": ""}}, {"tags": [None, "b", "c"]}),
        ({"$rename": {"tags": "old.tags"}}, {"tags": ..., "old": {"tags": ["a", "b", "c"]}}),
        ({"$addToSet": {"lines": {"n": 1}}}, {}),
        ({"$min": {"tags": 5}}, {"tags": 5}),
    ],
)
async def test_updates_go_into_arrays_as_mongodb_does(
    embedded, change: dict[str, Any], expected: dict[str, Any]
) -> None:
    before = {"_id": 1, "tags": ["a", "b", "c"], "lines": [{"n": 1}, {"n": 2}]}
    await embedded.insert(before)
    await embedded.update({}, change)
    wanted = {name: value for name, value in {**before, **expected}.items() if value is not ...}
    assert await embedded.find() == [wanted]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"$set": {"n.x": 1}}, "'x' of 'n.x' cannot be made, for 1 is no object"),
        ({"$set": {"tags.x": 1}}, "cannot be made"),
        ({"$set": {"tags.99999": 1}}, "name an index nearer to its end"),
        ({"$push": {"n": 1}}, "the field holds 1, which is no array"),
        ({"$inc": {"name": 1}}, "which is no number"),
        ({"$inc": {"large": 1}}, "needs more than 64 bits"),
        ({"$mul": {"huge": 1e300}}, "a number that is too large"),
    ],
)
async def test_an_update_that_does_not_fit_the_document_says_why(embedded, change: dict[str, Any], fault: str) -> None:
    before = {"_id": 1, "n": 1, "tags": [], "name": "x", "large": 2**63 - 1, "huge": 1e300}
    await embedded.insert(before)
    with pytest.raises(Refused, match=fault):
        await embedded.update({}, change)
    assert await embedded.find() == [before]

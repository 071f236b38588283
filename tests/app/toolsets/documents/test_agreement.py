"""The embedded evaluator against a server that speaks MongoDB's protocol: whatever is asked, both say the same."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.toolsets.documents.mongo import MongoStore
from app.toolsets.documents.service import Documents, Wanted
from app.toolsets.documents.sqlite import SqliteStore

# Where FerretDB 1.24 departs from MongoDB, neither is asked: nested arrays, $elemMatch on objects, comparisons with
# arrays and objects, null inside an empty array ({"a.b": null} does not match {"a": []}), and $not of a path into an
# array, which it matches when one element does not match.
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.5, 2.0, -1.5, 1e20]),
    st.sampled_from(["", "a", "ab", "B", "é", "\U0001f600", "$x", "1"]),
    st.sampled_from([{"$date": "2020-01-01T00:00:00Z"}, {"$date": "2021-06-01T12:00:00.5Z"}]),
    st.sampled_from([{"$oid": "0" * 24}, {"$oid": "f" * 24}]),
)
names = st.sampled_from(["a", "b", "c"])
inner = st.dictionaries(names, scalars, max_size=2)
documents = st.dictionaries(
    names, st.one_of(scalars, scalars, st.lists(scalars, max_size=3), inner, st.lists(inner, max_size=2)), max_size=3
)
ordered = scalars.filter(lambda value: not isinstance(value, bool) and value is not None)
conditions = st.one_of(
    scalars,
    st.fixed_dictionaries({"$ne": scalars}),
    st.fixed_dictionaries({"$in": st.lists(scalars, max_size=3)}),
    st.fixed_dictionaries({"$nin": st.lists(scalars, max_size=3)}),
    st.builds(lambda name, value: {name: value}, st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), ordered),
    st.builds(lambda low, high: {"$gte": low, "$lt": high}, st.integers(-3, 0), st.integers(0, 3)),
    st.fixed_dictionaries({"$exists": st.booleans()}),
    st.fixed_dictionaries({"$type": st.sampled_from(["string", "number", "bool", "date", "objectId", "null"])}),
    st.fixed_dictionaries({"$size": st.integers(0, 2)}),
    st.fixed_dictionaries({"$regex": st.sampled_from(["^a", "b$", "a|B", ".", "[^a]b?"]), "$options": st.just("i")}),
    st.fixed_dictionaries({"$not": st.fixed_dictionaries({"$gt": st.integers(-2, 2)})}),
)
fields = st.one_of(
    st.dictionaries(names, conditions, max_size=2),
    st.dictionaries(
        st.sampled_from(["a.b", "b.a", "a.0"]),
        conditions.filter(lambda one: not {"None", "$not"} & set(re.findall(r"None|\$not", repr(one)))),
        max_size=1,
    ),
)
filters = st.one_of(
    fields,
    st.builds(
        lambda name, parts: {name: parts},
        st.sampled_from(["$or", "$and", "$nor"]),
        st.lists(fields, min_size=1, max_size=3),
    ),
)
orders = st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from([1, -1]), max_size=2)


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(documents, min_size=1, max_size=6), st.lists(filters, min_size=1, max_size=6))
def test_both_stores_find_the_same(ferretdb, database: str, kept: list[Any], asked: list[Any]) -> None:
    found = asyncio.run(
        _asked(ferretdb.uri(database), kept, [Wanted(filter=one, projection={}, sort={}, limit=50) for one in asked])
    )
    for wanted, embedded, served in found:
        assert embedded == served, wanted


@settings(
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    st.lists(st.dictionaries(names, scalars, max_size=3), min_size=1, max_size=8),
    st.lists(orders, min_size=1, max_size=4),
)
def test_both_stores_sort_the_same(ferretdb, database: str, kept: list[Any], asked: list[Any]) -> None:
    found = asyncio.run(
        _asked(ferretdb.uri(database), kept, [Wanted(filter={}, projection={}, sort=one, limit=50) for one in asked])
    )
    for wanted, embedded, served in found:
        assert embedded == served, wanted


async def _asked(uri: str, kept: list[Any], asked: list[Wanted]) -> list[tuple[Wanted, list[bytes], list[bytes]]]:
    """What each store answers to each question."""
    stores = [SqliteStore(max_bytes=2**24, seconds=10), MongoStore(uri, seconds=10)]
    services = [Documents(store) for store in stores]
    try:
        for service in services:
            await service.store.delete("things", _everything(), many=True)
            await service.insert("things", [{"_id": number, **document} for number, document in enumerate(kept)])
        return [(wanted, *[await _found(service, wanted) for service in services]) for wanted in asked]
    finally:
        for store in stores:
            await store.close()


async def _found(service: Documents, wanted: Wanted) -> list[bytes]:
    return [bytes(document) for document in (await service.find("things", wanted))[0]]


def _everything() -> Any:
    from app.toolsets.documents.filters import compile_filter
    from app.toolsets.documents.store import Filter

    return Filter({}, compile_filter({}))

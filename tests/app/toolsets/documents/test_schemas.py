"""JSON Schemas: what is checked here, against the reference implementation; and what MongoDB is told."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.toolsets.documents._mongo_schema import validator_of
from app.toolsets.documents.errors import Refused
from app.toolsets.documents.schemas import CompiledSchema
from app.toolsets.documents.values import typed

values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 6), st.sampled_from([0.5, 2.0]), st.text("ab", max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("abc"), inner, max_size=3)),
    max_leaves=6,
)
kinds = st.sampled_from(["string", "number", "integer", "boolean", "object", "array", "null"])
counts = st.integers(0, 3)
plain_schemas = st.fixed_dictionaries(
    {},
    optional={
        "type": st.one_of(kinds, st.lists(kinds, min_size=1, max_size=2, unique=True)),
        "enum": st.lists(values, min_size=1, max_size=3),
        "const": values,
        "minimum": st.integers(-2, 4),
        "exclusiveMaximum": st.integers(-2, 4),
        "minLength": counts,
        "maxLength": counts,
        "pattern": st.sampled_from(["^a", "b$", "a+b"]),
        "minItems": counts,
        "maxItems": counts,
        "uniqueItems": st.booleans(),
        "minProperties": counts,
        "maxProperties": counts,
        "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
        "title": st.just("said"),
    },
)
schemas = st.recursive(
    st.one_of(st.booleans(), plain_schemas),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": kinds,
            "properties": st.dictionaries(st.sampled_from("abc"), inner, max_size=2),
            "additionalProperties": inner,
            "items": inner,
            "not": inner,
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "oneOf": st.lists(inner, min_size=1, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
        },
    ),
    max_leaves=5,
)


@settings(max_examples=400, deadline=None)
@given(schemas, st.lists(values, min_size=1, max_size=5))
def test_a_schema_means_what_the_standard_says(schema: Any, asked: list[Any]) -> None:
    reference = jsonschema.Draft202012Validator(schema)
    compiled = CompiledSchema(schema)
    for value in asked:
        assert (compiled.faults(value) == []) == reference.is_valid(value), value


@pytest.mark.parametrize(
    ("schema", "value", "fault"),
    [
        ({"type": "integer"}, {"a": "1"}, 'the document is {"a":"1"}: send integer'),
        ({"properties": {"a": {"type": ["string", "null"]}}}, {"a": 1}, "a is 1: send string or null"),
        ({"properties": {"a": {"items": {"minimum": 3}}}}, {"a": [3, 2]}, "a[1] is 2: send a number of at least 3"),
        ({"properties": {"a": {"required": ["b"]}}}, {"a": {}}, "a.b is missing"),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"b": 1}, "b is not one of the fields a"),
        ({"properties": {"a": {"enum": ["x", "y"]}}}, {"a": "z"}, 'a is "z": send one of ["x","y"]'),
        ({"properties": {"a": {"maxLength": 2}}}, {"a": "abc"}, "a has 3 characters: send 2 or fewer"),
        ({"properties": {"a": {"pattern": "^x"}}}, {"a": "y"}, 'a is "y", which does not match "^x"'),
        ({"properties": {"a": {"bsonType": "date"}}}, {"a": "2026"}, 'a is "2026": send date'),
        ({"properties": {"a": {"oneOf": [{}, {}]}}}, {"a": 1}, "a is 1, which fits 2 of oneOf instead of one"),
        ({"properties": {"a": {"uniqueItems": True}}}, {"a": [1, 1.0]}, "a has equal elements: send each once"),
    ],
)
def test_a_fault_names_the_field_the_value_and_what_to_send(schema: Any, value: Any, fault: str) -> None:
    assert CompiledSchema(schema).faults(value) == [fault]


def test_dates_and_object_ids_can_be_asked_for() -> None:
    compiled = CompiledSchema({"properties": {"at": {"bsonType": "date"}, "by": {"bsonType": ["objectId"]}}})
    sent = {"at": {"$date": "2026-01-01T00:00:00Z"}, "by": {"$oid": "0" * 24}}
    assert compiled.faults(typed(sent, "document")) == []
    assert len(compiled.faults(sent)) == 2


def test_only_the_first_few_faults_are_told() -> None:
    compiled = CompiledSchema({"additionalProperties": {"type": "string"}})
    assert len(compiled.faults({str(number): number for number in range(100)})) == 5


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({"$ref": "#/x"}, r"schema has '\$ref', which is not checked here"),
        ({"properties": {"a": {"if": {}}}}, r"schema\.properties\.a has 'if'"),
        ({"type": "text"}, r'schema\.type is "text": send one or several of string'),
        ({"bsonType": "javascript"}, r"schema\.bsonType"),
        ({"minimum": "1"}, "send a number"),
        ({"minLength": -1}, "0 or more"),
        ({"required": "name"}, "send an array of names"),
        ({"enum": []}, "one or more"),
        ({"pattern": "(?=x)"}, r"schema\.pattern"),
        ({"anyOf": []}, "one or more"),
        ({"uniqueItems": 1}, "true or false"),
        ({"properties": []}, r"schema\.properties is \[\]: send an object"),
        ({"items": [{}]}, r"schema\.items"),
        ({"allOf": [True] * 600}, "more than 500 parts"),
    ],
)
def test_a_schema_that_cannot_be_checked_is_refused(schema: Any, fault: str) -> None:
    with pytest.raises(Refused, match=fault):
        CompiledSchema(schema)


@pytest.mark.parametrize("schema", [[], "x", 5, None])
def test_what_is_no_schema_is_refused(schema: Any) -> None:
    with pytest.raises(Refused, match="send an object"):
        CompiledSchema(schema)


def test_mongodb_is_told_the_same_in_its_own_dialect() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A person",
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "format": "hostname"},
            "age": {"type": ["integer", "null"], "minimum": 0, "exclusiveMaximum": 150},
            "kind": {"const": "person"},
            "born": {"bsonType": "date"},
            "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
            "any": True,
            "none": False,
            "deep": {"type": "object", "required": [], "additionalProperties": {"type": "boolean"}},
        },
        "additionalProperties": False,
    }
    assert validator_of(schema) == {
        "$jsonSchema": {
            "title": "A person",
            "bsonType": ["object"],
            "required": ["name"],
            "properties": {
                "_id": {},
                "name": {"bsonType": ["string"], "minLength": 1},
                "age": {
                    "minimum": 0,
                    "allOf": [
                        {"anyOf": [{"bsonType": ["int", "long", "null"]}, {"bsonType": ["double"], "multipleOf": 1}]},
                        {"maximum": 150, "exclusiveMaximum": True},
                    ],
                },
                "kind": {"allOf": [{"enum": ["person"]}]},
                "born": {"allOf": [{"bsonType": "date"}]},
                "tags": {"bsonType": ["array"], "items": {"bsonType": ["string"]}, "uniqueItems": True},
                "any": {},
                "none": {"not": {}},
                "deep": {"bsonType": ["object"], "additionalProperties": {"bsonType": ["bool"]}},
            },
            "additionalProperties": False,
        }
    }
    assert validator_of(None) == {}

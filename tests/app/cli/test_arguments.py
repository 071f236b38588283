"""`key=value` words, made into arguments by the tool's schema."""

from __future__ import annotations

from typing import Any

import pytest

from app.cli._arguments import ArgumentError, parse_arguments

SCHEMA = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "ratio": {"type": ["number", "null"]},
        "deep": {"type": "boolean"},
        "tags": {"type": "array"},
        "mode": {"enum": ["fast", "slow"]},
        "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "place": {"$ref": "#/$defs/Place"},
        "knot": {"$ref": "#/$defs/Knot"},
    },
    "$defs": {"Place": {"type": "object"}, "Knot": {"$ref": "#/$defs/Knot"}},
}


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("text=5", "5"),
        ("text=a=b", "a=b"),
        ("text=", ""),
        ("count=5", 5),
        ("ratio=0.5", 0.5),
        ("ratio=null", None),
        ("deep=true", True),
        ('tags=["a","b"]', ["a", "b"]),
        ("mode=fast", "fast"),
        ("either=5", "5"),
        ("either:=5", 5),
        ("maybe=7", 7),
        ('place={"x":1}', {"x": 1}),
        ("knot=x", "x"),
        ("unknown=5", "5"),
        ('unknown:={"a":[1]}', {"a": [1]}),
    ],
)
def test_a_word_becomes_what_the_schema_says(word: str, value: Any) -> None:
    (parsed,) = parse_arguments([word], SCHEMA).values()
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["text"], "'text' is not an argument: write key=value, or key:=json"),
        (["=x"], "'=x' is not an argument"),
        (["count=many"], "count='many' should be a number"),
        (["text:=hello"], "text='hello' should be a number, true, false"),
        (["text=a", "text=b"], "the argument 'text' is there twice"),
    ],
)
def test_a_word_that_cannot_be_one_is_told_with_the_remedy(words: list[str], told: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        parse_arguments(words, SCHEMA)
    assert told in str(caught.value)

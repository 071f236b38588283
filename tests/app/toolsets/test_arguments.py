"""Arguments: what the schema promises is what the decoder takes, and a refusal says what to change."""

import enum
from contextlib import suppress
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from msgspec import Meta

from app.toolsets._signature import Parameters, WrongArguments


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Point(msgspec.Struct):
    x: int
    y: float = 0


async def draw(
    count: Annotated[int, Meta(ge=1, le=10, description="how many points")],
    label: Annotated[str, Meta(min_length=1, max_length=5)] = "a",
    colour: Colour = Colour.RED,
    points: list[Point] = [],  # noqa: B006
    mode: Literal["fast", "slow"] | None = None,
    weights: dict[str, int] = {},  # noqa: B006
    wide: bool = False,
) -> None: ...


PARAMETERS = Parameters(draw)
VALIDATOR = Draft202012Validator(PARAMETERS.schema)

SCALARS = (
    st.none() | st.booleans() | st.integers(-20, 20) | st.floats(-5, 5) | st.sampled_from(["a", "red", "fast", ""])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "y", "k"]), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from([*PARAMETERS.names, "other"])
FITTING = st.fixed_dictionaries(
    {"count": st.integers(1, 10)},
    optional={
        "label": st.text(min_size=1, max_size=5),
        "colour": st.sampled_from(["red", "blue"]),
        "points": st.lists(
            st.fixed_dictionaries({"x": st.integers(-9, 9)}, optional={"y": st.floats(-9, 9)}), max_size=3
        ),
        "mode": st.sampled_from(["fast", "slow", None]),
        "weights": st.dictionaries(st.text(max_size=3), st.integers(-9, 9), max_size=3),
        "wide": st.booleans(),
    },
)


def refusal(sent: Any) -> str:
    with pytest.raises(WrongArguments) as refused:
        PARAMETERS.decode(msgspec.json.encode(sent))
    return str(refused.value)


@given(FITTING)
def test_arguments_that_fit_come_through_unchanged(sent: dict[str, Any]) -> None:
    decoded = PARAMETERS.decode(msgspec.json.encode(sent))
    assert set(decoded) == set(PARAMETERS.names)
    assert msgspec.to_builtins({name: decoded[name] for name in sent if name != "points"}) == {
        name: value for name, value in sent.items() if name != "points"
    }
    assert [point.x for point in decoded["points"]] == [point["x"] for point in sent.get("points", [])]


@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_the_decoder_and_the_schema_agree_on_every_object(sent: dict[str, Any]) -> None:
    by_schema = VALIDATOR.is_valid(sent)
    try:
        PARAMETERS.decode(msgspec.json.encode(sent))
    except WrongArguments:
        assert not by_schema
    else:
        assert by_schema


@given(st.dictionaries(NAMES, VALUES, max_size=4) | VALUES)
def test_a_refusal_always_ends_with_what_to_send(sent: Any) -> None:
    with suppress(WrongArguments):
        PARAMETERS.decode(msgspec.json.encode(sent))
        return
    assert "Send" in refusal(sent)


@given(st.binary(max_size=40))
def test_bytes_that_are_no_json_are_refused_not_crashed_on(sent: bytes) -> None:
    with pytest.raises(WrongArguments):
        PARAMETERS.decode(b"\x00" + sent)


def test_a_wrong_type_is_named_with_its_value_and_what_would_fit() -> None:
    assert refusal({"count": "ten"}) == (
        "Argument 'count' is \"ten\": Expected `int`, got `str`. "
        'Send a value that fits {"type":"integer","minimum":1,"maximum":10} (how many points).'
    )


def test_a_missing_argument_is_named_with_what_would_fit() -> None:
    assert refusal({}).startswith("Argument 'count' is missing. Send a value that fits {")


def test_an_unknown_argument_brings_the_name_that_was_probably_meant() -> None:
    assert refusal({"count": 1, "lable": "a"}) == (
        "Argument 'lable' is unknown. Did you mean 'label'? "
        "Send only: count, label, colour, points, mode, weights, wide."
    )


def test_a_fault_inside_a_list_is_named_by_its_place() -> None:
    assert refusal({"count": 1, "points": [{"x": 1}, {"x": "no"}]}).startswith("Argument 'points[1].x' is \"no\": ")
    assert refusal({"count": 1, "points": [{"x": 1}, {}]}).startswith("Argument 'points[1].x' is missing.")


def test_an_enumeration_says_its_members() -> None:
    assert '"enum":["blue","red"]' in refusal({"count": 1, "colour": "green"})


def test_a_value_out_of_bounds_says_the_bound() -> None:
    assert refusal({"count": 11}).startswith("Argument 'count' is 11: Expected `int` <= 10.")


def test_a_long_value_is_cut_in_the_message() -> None:
    assert len(refusal({"count": "x" * 10_000})) < 400


def test_arguments_that_are_no_object_are_refused() -> None:
    assert refusal([1]) == "The arguments are [1]. Send a JSON object."


def test_a_number_too_large_for_a_double_is_refused() -> None:
    with pytest.raises(WrongArguments, match="out of range"):
        PARAMETERS.decode(b'{"count": 1e400}')


def test_a_whole_number_written_as_a_fraction_is_an_integer() -> None:
    assert PARAMETERS.decode(b'{"count": 3.0}')["count"] == 3


def test_a_default_is_not_shared_between_calls() -> None:
    PARAMETERS.decode(b'{"count": 1}')["points"].append(Point(1))
    assert PARAMETERS.decode(b'{"count": 1}')["points"] == []


def test_the_schema_says_types_bounds_defaults_and_forbids_the_rest() -> None:
    assert PARAMETERS.schema["required"] == ["count"]
    assert PARAMETERS.schema["additionalProperties"] is False
    assert PARAMETERS.schema["properties"]["count"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 10,
        "description": "how many points",
    }
    assert PARAMETERS.schema["$defs"]["Colour"]["type"] == "string"
    Draft202012Validator.check_schema(PARAMETERS.schema)


def test_a_parameter_without_an_annotation_is_refused_when_defined() -> None:
    async def untyped(x): ...

    with pytest.raises(TypeError, match="parameter 'x' has no annotation"):
        Parameters(untyped)


def test_a_parameter_that_cannot_be_named_is_refused_when_defined() -> None:
    async def open_ended(**rest: int) -> None: ...

    with pytest.raises(TypeError, match="cannot be sent by name"):
        Parameters(open_ended)


class Tree(msgspec.Struct):
    value: int
    children: list["Tree"] = []


def test_a_type_that_contains_itself_is_described_and_explained() -> None:
    async def plant(tree: Tree) -> None: ...

    parameters = Parameters(plant)
    Draft202012Validator.check_schema(parameters.schema)
    with pytest.raises(WrongArguments, match=r"Argument 'tree.children\[0\].value' is \"x\""):
        parameters.decode(b'{"tree": {"value": 1, "children": [{"value": "x"}]}}')

"""Which parameters of a tool clients mirror into headers."""

import pytest

from app.protocol.headers import InvalidMirror, MirroredParam, mirrored_params


def schema(**properties):
    return {"type": "object", "properties": properties}


def test_mirrored_parameters_are_found_at_any_depth_of_properties():
    found = mirrored_params(
        schema(
            a={"type": "string", "x-mcp-header": "A"},
            b=schema(c={"type": "integer", "x-mcp-header": "Deep-C"}) | {"type": "object"},
            d={"type": "string"},
        )
    )
    assert found == (
        MirroredParam(b"mcp-param-a", ("a",), "string"),
        MirroredParam(b"mcp-param-deep-c", ("b", "c"), "integer"),
    )


@pytest.mark.parametrize(
    "wrong",
    [
        schema(a={"type": "number", "x-mcp-header": "A"}),
        schema(a={"type": "array", "x-mcp-header": "A"}),
        schema(a={"type": "string", "x-mcp-header": ""}),
        schema(a={"type": "string", "x-mcp-header": "a b"}),
        schema(a={"type": "string", "x-mcp-header": "a\r\nb"}),
        schema(a={"type": "string", "x-mcp-header": 5}),
        schema(a={"type": "string", "x-mcp-header": "X"}, b={"type": "string", "x-mcp-header": "x"}),
        schema(a={"type": "array", "items": {"type": "string", "x-mcp-header": "A"}}),
        {"anyOf": [schema(a={"type": "string", "x-mcp-header": "A"})]},
        {"$defs": {"d": {"type": "string", "x-mcp-header": "A"}}, "properties": {"a": {"$ref": "#/$defs/d"}}},
    ],
)
def test_an_annotation_that_clients_would_drop_the_tool_for_is_found(wrong):
    with pytest.raises(InvalidMirror):
        mirrored_params(wrong)

"""What our client repeats as headers is what our server reads out of them."""

from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.client._mirror import Mirror
from app.protocol.headers import check_params, decode_value, encode_value, mirrored_params

SCHEMA = {
    "type": "object",
    "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "count": {"type": "integer", "x-mcp-header": "Count"},
        "dry": {"type": "boolean", "x-mcp-header": "Dry"},
        "query": {"type": "string"},
        "inner": {"type": "object", "properties": {"zone": {"type": "string", "x-mcp-header": "Zone"}}},
    },
}
TOOL = {"name": "deploy", "inputSchema": SCHEMA}
ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "region": st.text(max_size=20) | st.none(),
        "count": st.integers(-(10**9), 10**9),
        "dry": st.booleans(),
        "query": st.text(max_size=5),
        "inner": st.fixed_dictionaries({}, optional={"zone": st.text(max_size=20)}),
    },
)


@given(ARGUMENTS)
def test_the_server_accepts_the_headers_of_any_arguments(arguments: dict[str, Any]) -> None:
    mirror = Mirror()
    mirror.learn([TOOL])
    headers = mirror.headers({"name": "deploy", "arguments": arguments})
    sent = [(name.encode(), value.encode("ascii")) for name, value in headers.items()]
    check_params(mirrored_params(SCHEMA), msgspec.Raw(msgspec.json.encode(arguments)), sent)


@given(st.text())
@example("=?base64?QQ==?=")
def test_any_text_comes_out_of_a_header_as_it_went_in(text: str) -> None:
    assert decode_value(encode_value(text).encode("ascii"), "Mcp-Name") == text


def test_a_tool_whose_annotations_break_the_rules_is_left_out() -> None:
    bad = {"name": "bad", "inputSchema": {"properties": {"x": {"type": "object", "x-mcp-header": "X"}}}}
    assert Mirror().learn([TOOL, bad]) == [TOOL]


@pytest.mark.parametrize("params", [{"name": "other", "arguments": {"region": "x"}}, {"name": "deploy"}, {}])
def test_nothing_is_repeated_where_nothing_asks_for_it(params: dict[str, Any]) -> None:
    mirror = Mirror()
    mirror.learn([TOOL])
    assert mirror.headers(params) == {}

"""Decoding, held against what is known of JSON and JSON-RPC."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.errors import ProtocolError
from app.protocol.messages import (
    InvalidMessage,
    decode_batch,
    decode_message,
    encode_error,
    encode_notification,
    encode_request,
    encode_result,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)
IDS = st.integers(-(2**63), 2**63 - 1) | TEXT


def refused(body):
    try:
        decode_message(body)
    except InvalidMessage as error:
        return error
    return None


@given(IDS, st.dictionaries(TEXT, VALUES, max_size=4), st.booleans(), st.none() | st.just(2))
def test_every_request_is_read_as_it_was_written(request_id, params, ascii_only, indent):
    body = json.dumps(
        {"jsonrpc": "2.0", "id": request_id, "method": "m", "params": params}, ensure_ascii=ascii_only, indent=indent
    ).encode()
    message = decode_message(body)
    assert (message.id, message.method, json.loads(bytes(message.params))) == (request_id, "m", params)
    assert message.is_request


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body):
    refusal = refused(body)
    assert refusal is None or refusal.code in (-32700, -32600)
    assert refusal is None or json.loads(encode_error(refusal.request_id, refusal))


@given(VALUES)
def test_any_json_is_read_or_refused(value):
    refusal = refused(json.dumps(value).encode())
    assert refusal is None or refusal.code == -32600


@given(TEXT, VALUES, VALUES)
def test_a_repeated_key_is_refused_at_any_depth(key, first, second):
    name, one, two = json.dumps(key), json.dumps(first), json.dumps(second)
    repeated = "{" + f"{name}:{one},{name}:{two}" + "}"
    body = '{"jsonrpc":"2.0","id":1,"method":"m","params":{"deep":[' + repeated + "]}}"
    with pytest.raises(InvalidMessage, match="more than once"):
        decode_message(body.encode())


@given(TEXT, VALUES, VALUES)
def test_a_repeated_key_is_refused_however_the_message_is_spaced_and_escaped(key, first, second):
    name, one, two = json.dumps(key), json.dumps(first), json.dumps(second)
    body = f'{{"jsonrpc": "2.0", "id": 1, "method": "m\\u003a", "params": {{ {name} : {one}, {name}:\t{two} }} }}'
    with pytest.raises(InvalidMessage, match="more than once"):
        decode_message(body.encode())


@given(st.dictionaries(TEXT, VALUES))
def test_a_message_means_the_same_however_it_is_spaced(params):
    message = {"jsonrpc": "2.0", "id": 1, "method": "m", "params": params}
    compact, loose = json.dumps(message, separators=(",", ":")), json.dumps(message, indent=1)
    assert json.loads(bytes(decode_message(compact.encode()).params)) == params
    assert json.loads(bytes(decode_message(loose.encode()).params)) == params


def test_a_batch_keeps_the_good_messages_among_the_bad():
    good, bad = decode_batch(b'[{"jsonrpc":"2.0","id":1,"method":"m"},{"jsonrpc":"2.0","id":2}]')
    assert good.id == 1
    assert (bad.code, bad.request_id) == (-32600, 2)


@pytest.mark.parametrize("body", [b"[]", b"[" + b",".join([b"{}"] * 101) + b"]"])
def test_an_empty_or_huge_batch_is_refused(body):
    with pytest.raises(InvalidMessage):
        decode_batch(body)


def test_messages_to_the_client_are_complete():
    assert json.loads(encode_result("a", {"x": 1})) == {"jsonrpc": "2.0", "id": "a", "result": {"x": 1}}
    assert json.loads(encode_error(None, ProtocolError(-1, "no"))) == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -1, "message": "no"},
    }
    assert json.loads(encode_notification("n")) == {"jsonrpc": "2.0", "method": "n"}
    assert json.loads(encode_request(0, "r", {})) == {"jsonrpc": "2.0", "method": "r", "params": {}, "id": 0}

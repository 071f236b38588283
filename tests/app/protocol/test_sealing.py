"""Sealed request states."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.protocol.errors import ProtocolError
from app.protocol.sealing import StateSealer, digest_of

FOR = {"subject": "ada", "method": "tools/call", "digest": digest_of("t", {})}


@given(st.dictionaries(st.text(), st.text(max_size=20), max_size=3), st.none() | st.integers() | st.text())
def test_what_is_sealed_opens_again(answers, state):
    if isinstance(state, int):
        state %= 2**63
    sealer = StateSealer(["one"])
    opened = sealer.open(sealer.seal(answers, state, **FOR), **FOR)
    assert (opened.answers, opened.state) == (answers, state)


def test_a_state_sealed_with_an_older_key_opens_after_the_keys_were_rotated():
    token = StateSealer(["old"]).seal({"a": 1}, None, **FOR)
    assert StateSealer(["new", "old"]).open(token, **FOR).answers == {"a": 1}
    with pytest.raises(ProtocolError):
        StateSealer(["new"]).open(token, **FOR)


@pytest.mark.parametrize("other", [{"subject": "bob"}, {"method": "prompts/get"}, {"digest": digest_of("t", {"a": 1})}])
def test_a_state_is_bound_to_its_caller_method_and_parameters(other):
    sealer = StateSealer(["one"])
    token = sealer.seal({}, None, **FOR)
    with pytest.raises(ProtocolError, match="not one that this server gave"):
        sealer.open(token, **{**FOR, **other})


def test_a_state_opens_until_it_expires():
    now = 1000.0
    sealer = StateSealer(["one"], ttl=10, clock=lambda: now)
    token = sealer.seal({}, "kept", **FOR)
    now = 1009.9
    assert sealer.open(token, **FOR).state == "kept"
    now = 1010.1
    with pytest.raises(ProtocolError, match="expired"):
        sealer.open(token, **FOR)


def test_two_seals_of_the_same_never_look_the_same_and_tell_nothing():
    sealer = StateSealer(["one"])
    first, second = (sealer.seal({"name": "Ada"}, None, **FOR) for _ in range(2))
    assert first != second
    assert "Ada" not in first
    assert "one" not in repr(sealer)


def test_a_state_that_would_grow_too_large_is_refused():
    with pytest.raises(ProtocolError, match="too large"):
        StateSealer(["one"]).seal({"a": "x" * 100_000}, None, **FOR)


def test_a_sealer_needs_a_key():
    with pytest.raises(ValueError, match="no key"):
        StateSealer([])


def test_a_digest_does_not_depend_on_the_order_of_keys():
    assert digest_of({"a": 1, "b": [{"c": 1, "d": 2}]}) == digest_of({"b": [{"d": 2, "c": 1}], "a": 1})
    assert digest_of({"a": 1}) != digest_of({"a": 2})

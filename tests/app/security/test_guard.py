"""Tokens, and the guard that asks for them."""

from __future__ import annotations

import pytest

from app.protocol.calls import ANONYMOUS
from app.security.guard import Guard, Refusal
from app.security.origins import OriginPolicy
from app.security.tokens import BearerTokens, TokenFormatError

ALICE = "alice-secret-0123456789"
ROBOT = "robot-secret-0123456789"
HOST = (b"host", b"localhost:8000")


def guard(*tokens: str) -> Guard:
    return Guard(OriginPolicy(bound_to="127.0.0.1"), BearerTokens(tokens))


def bearer(token: str, scheme: str = "Bearer") -> tuple[bytes, bytes]:
    return (b"authorization", f"{scheme} {token}".encode())


def refusal(over: Guard, *headers: tuple[bytes, bytes]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        over.admit(headers)
    return caught.value


def test_a_token_says_who_calls_and_what_they_may_do() -> None:
    over = guard(f"{ALICE}:alice:tools:read tools:call", f"{ROBOT}:robot")
    alice = over.admit([HOST, bearer(ALICE)]).caller
    assert (alice.subject, alice.scopes) == ("alice", {"tools:read", "tools:call"})
    assert over.admit([HOST, bearer(ROBOT, "bearer")]).caller.subject == "robot"


def test_a_token_without_a_subject_is_known_by_its_number() -> None:
    assert guard(ALICE, ROBOT).admit([HOST, bearer(ROBOT)]).caller.subject == "token-2"


def test_no_token_configured_means_that_none_is_asked_for() -> None:
    assert guard().admit([HOST]).caller is ANONYMOUS
    assert not guard().wants_token


def test_a_missing_token_is_challenged() -> None:
    found = refusal(guard(ALICE), HOST)
    assert (found.status, found.challenge) == (401, 'Bearer realm="slipway"')


@pytest.mark.parametrize(
    "sent",
    [
        bearer("wrong-secret-0123456789"),
        bearer(ALICE[:-1]),
        bearer(ALICE + "0"),
        bearer(""),
        bearer(ALICE, "Basic"),
        (b"authorization", ALICE.encode()),
        (b"authorization", b"\xff\xfe"),
    ],
)
def test_a_wrong_token_is_refused_and_not_repeated(sent: tuple[bytes, bytes]) -> None:
    found = refusal(guard(ALICE), HOST, sent)
    assert (found.status, found.challenge) == (401, 'Bearer realm="slipway", error="invalid_token"')
    assert "secret" not in found.message


def test_a_public_path_needs_no_token_but_a_right_host() -> None:
    assert guard(ALICE).admit([HOST], public=True).caller is ANONYMOUS
    with pytest.raises(Refusal):
        guard(ALICE).admit([(b"host", b"evil.example")], public=True)


def test_a_request_without_a_host_or_with_two_is_refused() -> None:
    assert refusal(guard()).status == 400
    assert refusal(guard(), HOST, HOST).status == 400
    assert refusal(guard(), HOST, (b"origin", b"http://localhost"), (b"origin", b"http://localhost")).status == 400


def test_the_host_is_checked_before_the_token() -> None:
    assert refusal(guard(ALICE), (b"host", b"evil.example")).status == 403


def test_the_origin_of_a_page_is_told() -> None:
    assert guard().admit([HOST, (b"origin", b"http://localhost:3000")]).origin == b"http://localhost:3000"


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        (["short"], "token 1 of MCP_AUTH_TOKENS has fewer than 16 characters"),
        ([ALICE, "has a space in the token"], "token 2 of MCP_AUTH_TOKENS has a space"),
        ([ALICE, f"{ALICE}:again"], "token 2 of MCP_AUTH_TOKENS is there twice"),
    ],
)
def test_a_badly_written_token_is_told_without_showing_it(entries: list[str], told: str) -> None:
    with pytest.raises(TokenFormatError) as caught:
        BearerTokens(entries)
    assert told in str(caught.value)
    assert not any(entry in str(caught.value) for entry in entries)


def test_no_token_is_kept_as_it_is() -> None:
    tokens = BearerTokens([f"{ALICE}:alice"])
    assert ALICE not in repr(vars(tokens))

"""Requests in several rounds (2026-07-28): asking the client for input without keeping anything of it."""

import base64

import pytest

from app.protocol.sealing import StateSealer

ELICITS = {"elicitation": {}}


def accept(value):
    return {"action": "accept", "content": {"value": value}}


async def ask(running, wire, params=None, *, name="ask_name", capabilities=ELICITS, **headers):
    message = wire.new_call(1, "tools/call", {"name": name, **(params or {})}, capabilities=capabilities)
    return (await running.post(message, wire.new_headers(message) | headers)).json()


async def test_a_tool_asks_gets_answers_and_finishes(running, wire):
    first = (await ask(running, wire))["result"]
    assert first["resultType"] == "input_required"
    assert first["inputRequests"]["name"]["method"] == "elicitation/create"
    assert first["inputRequests"]["name"]["params"]["message"] == "What is your name?"
    second = (
        await ask(running, wire, {"inputResponses": {"name": accept("Ada")}, "requestState": first["requestState"]})
    )["result"]
    assert list(second["inputRequests"]) == ["colour"]
    third = (
        await ask(running, wire, {"inputResponses": {"colour": accept("blue")}, "requestState": second["requestState"]})
    )["result"]
    assert third["resultType"] == "complete"
    assert third["content"][0]["text"] == "hello: Ada likes blue"
    assert "requestState" not in third
    assert running.gates.calls == 1


async def test_another_replica_with_the_same_key_can_finish_what_this_one_began(running, wire):
    first = (await ask(running, wire))["result"]
    running.sealer.__dict__.update(StateSealer(["k" * 32]).__dict__)
    again = {"inputResponses": {"name": accept("Ada")}, "requestState": first["requestState"]}
    assert list((await ask(running, wire, again))["result"]["inputRequests"]) == ["colour"]


async def test_a_refusal_is_an_answer_too(running, wire):
    answer = await ask(running, wire, {"inputResponses": {"name": {"action": "decline"}}})
    assert answer["result"]["content"][0]["text"] == "no name: decline"


async def test_missing_answers_are_asked_for_again_and_unknown_ones_ignored(running, wire):
    answer = await ask(running, wire, {"inputResponses": {"other": accept("x")}})
    assert list(answer["result"]["inputRequests"]) == ["name"]


@pytest.mark.parametrize("responses", [None, 5, "x", [], {"name": 5}, {"name": {"action": "maybe"}}, {"name": {}}])
async def test_answers_of_the_wrong_form_are_refused(running, wire, responses):
    answer = await ask(running, wire, {"inputResponses": responses})
    assert answer["error"]["code"] == -32602


async def test_a_client_is_not_asked_for_what_it_did_not_declare(running, wire):
    error = (await ask(running, wire, capabilities={"sampling": {}}))["error"]
    assert (error["code"], error["data"]) == (-32021, {"requiredCapabilities": {"elicitation": {}}})


def flip(token, at):
    raw = bytearray(base64.urlsafe_b64decode(token))
    raw[at] ^= 1
    return base64.urlsafe_b64encode(raw).decode()


@pytest.mark.parametrize("at", [0, 5, 20, -1])
async def test_a_request_state_that_was_tampered_with_is_refused(running, wire, at):
    state = (await ask(running, wire))["result"]["requestState"]
    answer = await ask(running, wire, {"requestState": flip(state, at)})
    assert (answer["error"]["code"], "requestState" in answer["error"]["message"]) == (-32602, True)


@pytest.mark.parametrize("state", ["", "x", "ä", "AAAA", "A" * 10_000, "=?base64?QQ==?="])
async def test_a_made_up_request_state_is_refused(running, wire, state):
    answer = await ask(running, wire, {"requestState": state})
    assert answer["error"]["code"] == -32602


async def test_a_request_state_is_refused_on_another_request(running, wire):
    state = (await ask(running, wire))["result"]["requestState"]
    other_arguments = await ask(running, wire, {"arguments": {"greeting": "bye"}, "requestState": state})
    other_tool = await ask(running, wire, {"arguments": {"text": "x"}, "requestState": state}, name="echo")
    other_caller = await ask(running, wire, {"requestState": state}, **{"x-caller": "mallory"})
    assert [a["error"]["code"] for a in (other_arguments, other_tool, other_caller)] == [-32602] * 3


async def test_a_request_state_opens_however_the_client_writes_its_json(running, wire):
    state = (await ask(running, wire, {"arguments": {"greeting": "hi"}}))["result"]["requestState"]
    message = wire.new_call(
        1,
        "tools/call",
        {"requestState": state, "arguments": {"greeting": "hi"}, "name": "ask_name"},
        capabilities=ELICITS,
    )
    answer = await running.post(message, wire.new_headers(message))
    assert answer.json()["result"]["resultType"] == "input_required"


async def test_a_request_state_expires(running, wire, monkeypatch):
    state = (await ask(running, wire))["result"]["requestState"]
    sealer = running.sealer
    now = sealer._clock()
    monkeypatch.setattr(sealer, "_clock", lambda: now + 601)
    answer = await ask(running, wire, {"requestState": state, "inputResponses": {"name": accept("Ada")}})
    assert answer["error"]["code"] == -32602
    assert "expired" in answer["error"]["message"]


async def test_sampling_and_roots_are_asked_for_in_the_same_way(running, wire):
    first = await ask(running, wire, {"arguments": {"question": "?"}}, name="think", capabilities={"sampling": {}})
    assert first["result"]["inputRequests"]["sample"]["method"] == "sampling/createMessage"
    assert first["result"]["inputRequests"]["sample"]["params"]["maxTokens"] == 50
    said = {"role": "assistant", "model": "m", "content": {"type": "text", "text": "42"}}
    second = await ask(
        running,
        wire,
        {"arguments": {"question": "?"}, "inputResponses": {"sample": said}},
        name="think",
        capabilities={"sampling": {}},
    )
    assert second["result"]["content"][0]["text"] == "42"
    roots = await ask(running, wire, name="where", capabilities={"roots": {}})
    assert roots["result"]["inputRequests"]["roots"] == {"method": "roots/list", "params": {}}

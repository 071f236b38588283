"""Bare JSON-RPC at `/messages`, as a person with `curl` uses it."""

import pytest

PATH = "/messages"
JSON_ONLY = {"accept": "*/*"}


async def test_tools_are_listed_without_a_session(running, wire):
    answer = await running.post(wire.call(1, "tools/list"), JSON_ONLY, PATH)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert "echo" in [tool["name"] for tool in answer.json()["result"]["tools"]]


async def test_a_tool_is_called_without_a_session(running, wire):
    message = wire.call(1, "tools/call", {"name": "echo", "arguments": {"text": "hi"}})
    answer = await running.post(message, JSON_ONLY, PATH)
    assert answer.json() == {"jsonrpc": "2.0", "id": 1, "result": {"content": [{"type": "text", "text": "hi"}]}}


async def test_what_a_tool_says_before_its_answer_is_not_sent(running, wire):
    running.gates.go.set()
    message = wire.call(1, "tools/call", {"name": "hold", "arguments": {"say": True}, "_meta": {"progressToken": 1}})
    answer = await running.post(message, JSON_ONLY, PATH)
    assert answer.json()["result"]["content"][0]["text"] == "held"


async def test_the_newer_era_is_spoken_to_who_speaks_it(running, wire):
    answer = await running.post(wire.new_call(1, "server/discover"), JSON_ONLY, PATH)
    assert answer.json()["result"]["resultType"] == "complete"


async def test_a_tool_that_asks_the_client_says_that_it_cannot(running, wire):
    answer = await running.post(wire.call(1, "tools/call", {"name": "ask_name"}), JSON_ONLY, PATH)
    assert "elicitation" in answer.json()["error"]["message"]


@pytest.mark.parametrize("method", ["logging/setLevel", "resources/subscribe"])
async def test_what_belongs_to_a_session_is_refused(running, wire, method):
    answer = await running.post(wire.call(1, method, {"level": "info", "uri": "test://note"}), JSON_ONLY, PATH)
    assert answer.json()["error"]["code"] == -32600


async def test_a_notification_is_accepted(running, wire):
    assert (await running.post(wire.note("notifications/initialized"), JSON_ONLY, PATH)).status_code == 202


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"", -32700), (b"[]", -32600), (b'{"jsonrpc":"2.0","id":1,"result":{}}', -32600), (b'{"id":true}', -32600)],
)
async def test_bad_input_is_an_error_in_the_protocols_form(running, body, code):
    answer = await running.post(body, JSON_ONLY, PATH)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


async def test_an_unknown_method_is_not_found(running, wire):
    answer = await running.post(wire.call("q", "no/such"), JSON_ONLY, PATH)
    assert (answer.status_code, answer.json()["id"], answer.json()["error"]["code"]) == (200, "q", -32601)


async def test_a_subscription_is_pointed_to_the_endpoint_that_has_streams(running, wire):
    message = wire.new_call(1, "subscriptions/listen", {"notifications": {}})
    answer = await running.post(message, JSON_ONLY, PATH)
    assert "/mcp" in answer.json()["error"]["message"]


async def test_only_posts_are_answered(running):
    answer = await running.http.get(PATH)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")

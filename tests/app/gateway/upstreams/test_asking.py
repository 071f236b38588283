"""What a server asks reaches the client that it concerns, and is always answered."""

import asyncio

import pytest

from app.gateway.upstream import UpstreamFailure

ASKED = {"messages": [], "maxTokens": 5}


async def test_the_client_of_the_only_call_is_asked(connect, call, client):
    upstream, peer = await connect()
    who = client(answers={"sampling/createMessage": {"role": "assistant", "x": 1}})
    calling = call(upstream, "tools/call", {"name": "a"}, downstream=who)
    request = await peer.receive()
    peer.say(id="q-1", method="sampling/createMessage", params=ASKED)
    assert await peer.receive() == {"jsonrpc": "2.0", "id": "q-1", "result": {"role": "assistant", "x": 1}}
    assert who.asked == [("sampling/createMessage", ASKED)]
    peer.answer(request)
    await calling


async def test_the_clients_refusal_is_passed_on(connect, call, client, refused):
    upstream, peer = await connect()
    who = client(answers={"elicitation/create": refused(-1, "no thanks")})
    calling = call(upstream, "tools/call", {"name": "a"}, downstream=who)
    request = await peer.receive()
    peer.say(id=0, method="elicitation/create", params={"message": "?"})
    assert (await peer.receive())["error"] == {"code": -1, "message": "no thanks"}
    peer.answer(request)
    await calling


async def test_of_many_calls_the_one_that_a_token_names_is_asked(connect, call, client):
    upstream, peer = await connect()
    clients = [client(progress_token=n) for n in range(3)]
    calls = [call(upstream, "tools/call", {"name": "a"}, downstream=who) for who in clients]
    requests = [await peer.receive() for _ in calls]
    for request, who in zip(requests, clients, strict=True):
        peer.say(id=1, method="elicitation/create", params={"_meta": {"progressToken": request["id"]}})
        await peer.receive()
        assert len(who.asked) == 1
    for request in requests:
        peer.answer(request)
    await asyncio.gather(*calls)


async def test_of_many_calls_the_one_about_a_task_is_asked(connect, call, client):
    upstream, peer = await connect()
    waiting, other = client(), client()
    calls = [
        call(upstream, "tasks/result", {"taskId": "t-1"}, downstream=waiting),
        call(upstream, "tools/call", {"name": "a"}, downstream=other),
    ]
    requests = [await peer.receive() for _ in calls]
    related = {"io.modelcontextprotocol/related-task": {"taskId": "t-1"}}
    peer.say(id=1, method="elicitation/create", params={"_meta": related})
    await peer.receive()
    assert (len(waiting.asked), len(other.asked)) == (1, 0)
    for request in requests:
        peer.answer(request)
    await asyncio.gather(*calls)


async def test_of_many_calls_with_no_hint_the_latest_is_asked(connect, call, client):
    upstream, peer = await connect()
    clients = [client(), client()]
    calls = [call(upstream, "tools/call", {"name": "a"}, downstream=who) for who in clients]
    requests = [await peer.receive() for _ in calls]
    peer.say(id=1, method="elicitation/create", params={})
    await peer.receive()
    assert [len(who.asked) for who in clients] == [0, 1]
    for request in requests:
        peer.answer(request)
    await asyncio.gather(*calls)


async def test_outside_of_a_call_nobody_is_asked(connect):
    _, peer = await connect()
    peer.say(id=1, method="sampling/createMessage", params=ASKED)
    assert (await peer.receive())["error"]["code"] == -32601
    peer.say(id=2, method="roots/list")
    assert (await peer.receive())["result"] == {"roots": []}
    peer.say(id=3, method="ping")
    assert (await peer.receive())["result"] == {}
    peer.say(id=4, method="made/up")
    assert (await peer.receive())["error"]["code"] == -32601


async def test_a_client_without_the_capability_is_not_asked(connect, call, client):
    upstream, peer = await connect()
    who = client(capabilities={"roots": {}})
    calling = call(upstream, "tools/call", {"name": "a"}, downstream=who)
    request = await peer.receive()
    peer.say(id=1, method="sampling/createMessage", params=ASKED)
    assert (await peer.receive())["error"]["code"] == -32601
    assert who.asked == []
    peer.answer(request)
    await calling


async def test_a_question_ends_with_its_call(connect, call, client, until):
    upstream, peer = await connect()
    never = asyncio.Event()
    who = client(answers={"elicitation/create": never})
    calling = call(upstream, "tools/call", {"name": "a"}, downstream=who)
    request = await peer.receive()
    peer.say(id=1, method="elicitation/create", params={})
    await until(lambda: who.asked)
    peer.answer(request, {"ok": 1})
    assert await calling == {"ok": 1}
    await asyncio.sleep(0)
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("a request of")] == []


async def test_the_server_may_take_its_question_back(connect, call, client, until):
    upstream, peer = await connect()
    who = client(answers={"elicitation/create": asyncio.Event()})
    calling = call(upstream, "tools/call", {"name": "a"}, downstream=who)
    request = await peer.receive()
    peer.say(id="q", method="elicitation/create", params={})
    await until(lambda: who.asked)
    peer.say(method="notifications/cancelled", params={"requestId": "q"})
    peer.answer(request)
    await calling
    assert peer.quiet


async def test_a_flood_of_questions_does_not_become_a_flood_of_tasks(connect, call, client):
    upstream, peer = await connect()
    who = client(answers={"elicitation/create": asyncio.Event()})
    calling = call(upstream, "tools/call", {"name": "a"}, downstream=who)
    request = await peer.receive()
    for number in range(1000):
        peer.say(id=number, method="elicitation/create", params={})
    peer.answer(request)
    await calling
    assert len(who.asked) <= 200


async def test_a_result_that_asks_for_input_is_answered_by_a_client_of_the_older_era(connect, call, client):
    upstream, peer = await connect(stateless=True)
    who = client(answers={"elicitation/create": {"action": "accept", "content": {"n": 1}}, "roots/list": {"roots": []}})
    calling = call(upstream, "tools/call", {"name": "a", "arguments": {"x": 1}}, downstream=who)
    first = await peer.receive()
    declared = first["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"]
    assert declared == {"sampling": {}, "elicitation": {}, "roots": {}}
    peer.answer(
        first,
        {
            "resultType": "input_required",
            "inputRequests": {
                "name": {"method": "elicitation/create", "params": {"message": "Who?"}},
                "roots": {"method": "roots/list"},
            },
            "requestState": "sealed",
        },
    )
    second = await peer.receive()
    assert second["id"] != first["id"]
    assert second["params"]["name"] == "a"
    assert second["params"]["arguments"] == {"x": 1}
    assert second["params"]["requestState"] == "sealed"
    assert second["params"]["inputResponses"] == {
        "name": {"action": "accept", "content": {"n": 1}},
        "roots": {"roots": []},
    }
    peer.answer(second, {"resultType": "complete", "content": []})
    assert (await calling)["resultType"] == "complete"
    assert sorted(who.asked) == [("elicitation/create", {"message": "Who?"}), ("roots/list", {})]


async def test_a_client_of_the_newer_era_gets_such_a_result_as_it_is(connect, call, client):
    upstream, peer = await connect(stateless=True)
    who = client(stateless=True, capabilities={"elicitation": {}}, log_level="info")
    calling = call(upstream, "tools/call", {"name": "a"}, downstream=who)
    request = await peer.receive()
    meta = request["params"]["_meta"]
    assert meta["io.modelcontextprotocol/clientCapabilities"] == {"elicitation": {}}
    assert meta["io.modelcontextprotocol/logLevel"] == "info"
    asking = {"resultType": "input_required", "inputRequests": {}, "requestState": "s"}
    peer.answer(request, asking)
    assert await calling == asking
    assert who.asked == []


async def test_a_server_that_never_has_enough_is_stopped(connect, call, client):
    upstream, peer = await connect(stateless=True)
    calling = call(upstream, "tools/call", {"name": "a"}, downstream=client())
    for _ in range(21):
        peer.answer(await peer.receive(), {"resultType": "input_required", "inputRequests": {}})
    with pytest.raises(UpstreamFailure, match="20 times"):
        await calling

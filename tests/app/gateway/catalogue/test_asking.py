"""Servers that ask their client in the middle of a call: in both eras, on both sides."""

import asyncio
import json

import pytest
from msgspec import Raw

from app.gateway.catalogue.catalogue import Catalogue
from app.gateway.catalogue.parking import CarPark
from app.gateway.upstream import UpstreamFailure
from app.protocol.calls import ClientRefused
from app.protocol.sealing import StateSealer

NEWER = {"revision": "2026-07-28"}
CALL = ("tools/call", {"name": "one_a"})
ABLE = {"sampling": {}, "elicitation": {"form": {}, "url": {}}, "roots": {}}
ROOTS = {"roots": [{"uri": "file:///r"}]}
SAMPLE = {"role": "assistant", "content": {"type": "text", "text": "s"}, "model": "m"}


async def older(catalogue, scripted, *asks, together=False):
    """A server of the older era whose tool asks for things and tells what it was answered."""
    server = scripted(tools=[{"name": "a"}], prompts=[{"name": "p"}], resources=[{"uri": "a:1", "name": "r"}])

    async def one(downstream, method, params):
        try:
            return json.loads(bytes(await downstream.ask(method, Raw(json.dumps(params).encode()))))
        except ClientRefused as error:
            return {"refused": error.message}

    async def ask(_, downstream):
        if together:
            found = await asyncio.gather(*(one(downstream, *wanted) for wanted in asks))
        else:
            found = [await one(downstream, *wanted) for wanted in asks]
        return {"content": [{"type": "text", "text": json.dumps(found)}]}

    for method in ("tools/call", "prompts/get", "resources/read"):
        server.answer(method, ask)
    await catalogue.put("one", server)
    return server


def answers_of(result):
    return json.loads(result["content"][0]["text"])


async def test_an_older_server_asks_an_older_client_directly(catalogue, scripted, asker, ear):
    await older(catalogue, scripted, ("roots/list", {}), ("sampling/createMessage", {"messages": [], "maxTokens": 1}))
    heard = ear(ROOTS, SAMPLE)
    found = await asker(catalogue.union).result(*CALL, ear=heard, capabilities=ABLE)
    assert answers_of(found) == [ROOTS, SAMPLE]
    assert heard.asked == [("roots/list", {}), ("sampling/createMessage", {"messages": [], "maxTokens": 1})]


async def test_a_client_that_cannot_be_asked_is_not(catalogue, scripted, asker, ear):
    await older(catalogue, scripted, ("roots/list", {}), ("nonsense/ask", {}))
    found = answers_of(await asker(catalogue.union).result(*CALL, ear=ear(), capabilities={}))
    assert found[0] == {"refused": "The client cannot be asked 'roots/list': it did not declare {\"roots\":{}}."}
    assert "nonsense/ask" in found[1]["refused"]
    found = answers_of(await asker(catalogue.union).result(*CALL, capabilities={"sampling": {}}, **NEWER))
    assert "did not declare" in found[0]["refused"]


@pytest.mark.parametrize(
    ("method", "params"),
    [CALL, ("prompts/get", {"name": "one_p"}), ("resources/read", {"uri": "a:1"})],
)
async def test_an_older_server_asks_a_newer_client_by_results(catalogue, scripted, asker, method, params):
    server = await older(catalogue, scripted, ("roots/list", {}), ("elicitation/create", {"message": "m"}))
    desk = asker(catalogue.union)
    first = await desk.result(method, params, capabilities=ABLE, **NEWER)
    assert first["resultType"] == "input_required"
    assert first["inputRequests"] == {"roots-1": {"method": "roots/list", "params": {}}}
    back = {"inputResponses": {"roots-1": ROOTS}, "requestState": first["requestState"]}
    second = await desk.result(method, {**params, **back}, capabilities=ABLE, **NEWER)
    assert second["inputRequests"] == {"elicitation-2": {"method": "elicitation/create", "params": {"message": "m"}}}
    accepted = {"action": "accept", "content": {"x": 1}}
    back = {"inputResponses": {"elicitation-2": accepted}, "requestState": second["requestState"]}
    third = await desk.result(method, {**params, **back}, capabilities=ABLE, **NEWER)
    assert third["resultType"] == "complete"
    assert answers_of(third) == [ROOTS, accepted]
    assert len(server.asked) == 1
    assert catalogue.park.waiting == 0


async def test_what_is_asked_at_the_same_time_is_asked_together(catalogue, scripted, asker):
    sample = ("sampling/createMessage", {"messages": [], "maxTokens": 1})
    await older(catalogue, scripted, ("roots/list", {}), sample, together=True)
    desk = asker(catalogue.union)
    first = await desk.result(*CALL, capabilities=ABLE, **NEWER)
    assert set(first["inputRequests"]) == {"roots-1", "sampling-2"}
    # One answer at a time is good enough: the other is asked again.
    back = {"inputResponses": {"sampling-2": SAMPLE}, "requestState": first["requestState"]}
    second = await desk.result(CALL[0], {**CALL[1], **back}, capabilities=ABLE, **NEWER)
    assert set(second["inputRequests"]) == {"roots-1"}
    back = {"inputResponses": {"roots-1": ROOTS}, "requestState": second["requestState"]}
    last = await desk.result(CALL[0], {**CALL[1], **back}, capabilities=ABLE, **NEWER)
    assert answers_of(last) == [ROOTS, SAMPLE]


async def test_a_call_that_waited_too_long_is_cancelled_at_its_server(scripted, asker, turn):
    catalogue = Catalogue(park=CarPark(seconds=0.05))
    server = await older(catalogue, scripted, ("roots/list", {}))
    desk = asker(catalogue.union)
    first = await desk.result(*CALL, capabilities=ABLE, **NEWER)
    await turn(lambda: server.cancelled == 1)
    assert catalogue.park.waiting == 0
    back = {"inputResponses": {"roots-1": ROOTS}, "requestState": first["requestState"]}
    error = await desk.error(CALL[0], {**CALL[1], **back}, capabilities=ABLE, **NEWER)
    assert "nobody answered within 0.05 s. Send the call again without requestState." in error["message"]
    await catalogue.close()


async def test_no_more_calls_wait_than_may(scripted, asker):
    catalogue = Catalogue(park=CarPark(most=2))
    await older(catalogue, scripted, ("roots/list", {}))
    desk = asker(catalogue.union)
    for _ in range(2):
        await desk.result(*CALL, capabilities=ABLE, **NEWER)
    found = answers_of(await desk.result(*CALL, capabilities=ABLE, **NEWER))
    assert "2 calls wait for their clients already" in found[0]["refused"]
    assert catalogue.park.waiting == 2
    await catalogue.close()
    assert catalogue.park.waiting == 0


async def test_a_call_that_waits_at_another_replica_is_told_so(scripted, asker):
    sealer = StateSealer(["k" * 32])
    here, there = Catalogue(), Catalogue()
    for catalogue in (here, there):
        await older(catalogue, scripted, ("roots/list", {}))
    first = await asker(here.union, sealer).result(*CALL, capabilities=ABLE, **NEWER)
    back = {"inputResponses": {"roots-1": ROOTS}, "requestState": first["requestState"]}
    error = await asker(there.union, sealer).error(CALL[0], {**CALL[1], **back}, capabilities=ABLE, **NEWER)
    assert error["message"].startswith("This call waits at another replica of the gateway")
    await here.close()
    await there.close()


async def test_a_call_is_continued_once_at_a_time(catalogue, scripted, asker, turn):
    gate = asyncio.Event()
    server = await older(catalogue, scripted)

    async def ask(_, downstream):
        await downstream.ask("roots/list", Raw(b"{}"))
        await gate.wait()
        return {"content": []}

    server.answer("tools/call", ask)
    desk = asker(catalogue.union)
    first = await desk.result(*CALL, capabilities=ABLE, **NEWER)
    params = {**CALL[1], "inputResponses": {"roots-1": ROOTS}, "requestState": first["requestState"]}
    going_on = asyncio.create_task(desk.result(CALL[0], params, capabilities=ABLE, **NEWER))
    await asyncio.sleep(0.01)
    error = await desk.error(CALL[0], params, capabilities=ABLE, **NEWER)
    assert error["message"] == "This call is being continued already: wait for that answer."
    gate.set()
    assert (await going_on)["content"] == []
    error = await desk.error(CALL[0], params, capabilities=ABLE, **NEWER)
    assert "no longer waits" in error["message"]


async def test_progress_of_a_waiting_call_goes_to_whoever_attends_to_it(catalogue, scripted, asker, ear):
    server = await older(catalogue, scripted)

    async def ask(_, downstream):
        progress = {"progressToken": downstream.progress_token, "progress": 1}
        await downstream.notify("notifications/progress", Raw(json.dumps(progress).encode()))
        await downstream.ask("roots/list", Raw(b"{}"))
        progress = {"progressToken": downstream.progress_token, "progress": 2}
        await downstream.notify("notifications/progress", Raw(json.dumps(progress).encode()))
        return {"content": []}

    server.answer("tools/call", ask)
    desk, one, two = asker(catalogue.union), ear(), ear()
    options = {"capabilities": ABLE, **NEWER}
    first = await desk.result(*CALL, ear=one, meta={"progressToken": 1}, **options)
    back = {"inputResponses": {"roots-1": ROOTS}, "requestState": first["requestState"]}
    await desk.result(CALL[0], {**CALL[1], **back}, ear=two, meta={"progressToken": 2}, **options)
    assert one.told == [("notifications/progress", {"progressToken": 1, "progress": 1})]
    assert two.told == [("notifications/progress", {"progressToken": 2, "progress": 2})]


async def newer(catalogue, scripted):
    """A server of the newer era that asks in two rounds, and checks what is brought back."""
    server = scripted(revision="2026-07-28", tools=[{"name": "a"}])

    async def ask(params, _):
        state = params.get("requestState")
        if state is None:
            asked = {"k": {"method": "roots/list", "params": {}}}
            return {"resultType": "input_required", "inputRequests": asked, "requestState": "first"}
        if state == "first":
            assert params["inputResponses"] == {"k": ROOTS}
            asked = {"k": {"method": "elicitation/create", "params": {"mode": "url", "message": "m", "url": "u:1"}}}
            return {"resultType": "input_required", "inputRequests": asked, "requestState": "second"}
        assert (state, params["inputResponses"]) == ("second", {"k": {"action": "accept"}})
        return {"resultType": "complete", "content": [], "own": 1}

    server.answer("tools/call", ask)
    await catalogue.put("one", server)
    return server


async def test_a_newer_server_asks_a_newer_client_with_its_own_state_sealed_in_ours(catalogue, scripted, asker):
    await newer(catalogue, scripted)
    desk = asker(catalogue.union)
    first = await desk.result(*CALL, capabilities=ABLE, **NEWER)
    assert first["inputRequests"] == {"k": {"method": "roots/list", "params": {}}}
    assert first["requestState"] != "first"
    back = {"inputResponses": {"k": ROOTS}, "requestState": first["requestState"]}
    second = await desk.result(CALL[0], {**CALL[1], **back}, capabilities=ABLE, **NEWER)
    assert second["inputRequests"]["k"]["params"] == {"mode": "url", "message": "m", "url": "u:1"}
    back = {"inputResponses": {"k": {"action": "accept"}}, "requestState": second["requestState"]}
    third = await desk.result(CALL[0], {**CALL[1], **back}, capabilities=ABLE, **NEWER)
    assert (third["resultType"], third["own"]) == ("complete", 1)


async def test_a_visit_that_a_newer_server_wants_gets_an_id_for_an_older_client(catalogue, scripted, asker, ear):
    server = await newer(catalogue, scripted)

    async def ask(_, downstream):  # as upstreams do for clients of the older era
        assert not downstream.stateless
        asked = {"mode": "url", "message": "m", "url": "u:1"}
        await downstream.ask("elicitation/create", Raw(json.dumps(asked).encode()))
        return {"resultType": "complete", "content": []}

    server.answer("tools/call", ask)
    heard = ear({"action": "accept"})
    assert await asker(catalogue.union).result(*CALL, ear=heard, capabilities=ABLE) == {"content": []}
    assert set(heard.asked[0][1]) == {"mode", "message", "url", "elicitationId"}


async def test_a_client_that_declines_fails_the_call_in_words(catalogue, scripted, asker, ear):
    server = await older(catalogue, scripted)

    async def ask(_, downstream):
        await downstream.ask("roots/list", Raw(b"{}"))

    for method in ("tools/call", "prompts/get"):
        server.answer(method, ask)
    desk = asker(catalogue.union)
    found = await desk.result(*CALL, ear=ear(ClientRefused(-1, "not now")), capabilities=ABLE)
    assert (found["isError"], found["content"][0]["text"]) == (True, "The client declined: not now")
    error = await desk.error("prompts/get", {"name": "one_p"}, ear=ear(ClientRefused(-1, "not now")), capabilities=ABLE)
    assert error["message"] == "The client declined: not now"


async def test_a_visit_that_an_older_server_wants_is_a_question_to_a_newer_client(catalogue, scripted, asker):
    server = await older(catalogue, scripted)
    data = Raw(b'{"elicitations":[{"mode":"url","elicitationId":"e","url":"https://a.example","message":"m"}]}')
    server.answer("tools/call", UpstreamFailure(-32042, "visit first", data))
    desk = asker(catalogue.union)
    assert (await desk.error(*CALL, capabilities=ABLE))["code"] == -32042
    first = await desk.result(*CALL, capabilities=ABLE, **NEWER)
    assert first["inputRequests"] == {
        "visit-1": {
            "method": "elicitation/create",
            "params": {"mode": "url", "url": "https://a.example", "message": "m"},
        }
    }
    server.answer("tools/call", {"content": []})
    back = {"inputResponses": {"visit-1": {"action": "accept"}}, "requestState": first["requestState"]}
    assert (await desk.result(CALL[0], {**CALL[1], **back}, capabilities=ABLE, **NEWER))["content"] == []
    assert server.asked[-1] == ("tools/call", {"name": "a"})

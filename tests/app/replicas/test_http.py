"""Streamable HTTP sessions on two replicas."""

from __future__ import annotations

import asyncio

import httpx


def result_text(answer: dict) -> str:
    return answer["result"]["content"][0]["text"]


async def test_a_session_that_began_on_one_replica_is_served_by_the_other(replicas, web) -> None:
    a, b = replicas.mcp
    await web.initialize(a)
    for number, url in enumerate((b, a, b)):
        answer = await web.call(url, number, "echo", text="x")
        assert result_text(answer.json()) == "x"


async def test_a_session_initialized_on_the_other_replica_at_the_last_moment_is_served(replicas, web) -> None:
    a, b = replicas.mcp
    answer = await web.post(
        a,
        id=0,
        method="initialize",
        params={"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    )
    web.session_id = answer.headers["mcp-session-id"]
    assert (await web.call(b, 1, "echo", text="x")).json()["error"]["code"] == -32600
    for number in range(1, 20):
        if number == 10:
            assert (await web.post(a, method="notifications/initialized")).status_code == 202
        answer = await web.call(b, number, "echo", text="x")
        assert ("result" in answer.json()) == (number >= 10)


async def test_the_stream_on_one_replica_brings_what_happens_on_the_other(replicas, web) -> None:
    a, b = replicas.mcp
    await web.initialize(a)
    stream = await web.open("GET", a)
    await web.call(b, 1, "test_trigger_tool_change")
    message = await stream.message()
    assert message["method"] == "notifications/tools/list_changed"


async def test_a_tool_on_one_replica_gets_the_answer_that_its_client_posts_to_the_other(replicas, web) -> None:
    a, b = replicas.mcp
    await web.initialize(a)
    params = {"name": "test_sampling", "arguments": {"prompt": "hi"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    stream = await web.open("POST", a, json=body)
    asked = await stream.message()
    assert asked["method"] == "sampling/createMessage"
    result = {"role": "assistant", "content": {"type": "text", "text": "forty-two"}, "model": "m"}
    assert (await web.post(b, id=asked["id"], result=result)).status_code == 202
    assert "forty-two" in result_text(await stream.message())


async def test_a_call_on_one_replica_is_cancelled_through_the_other(replicas, web) -> None:
    a, b = replicas.mcp
    await web.initialize(a)
    calling = asyncio.create_task(web.call(a, 1, "wait", seconds=60))
    async with asyncio.timeout(10):
        while (await web.post(a, id=1, method="ping")).json().get("result") is not None:
            pass  # until the id is taken: the call runs
        await web.post(b, method="notifications/cancelled", params={"requestId": 1})
        await calling


async def test_a_session_ended_on_one_replica_is_gone_on_the_other(replicas, web) -> None:
    a, b = replicas.mcp
    await web.initialize(a)
    assert (await web.call(b, 1, "echo", text="x")).status_code == 200
    stream = await web.open("GET", b)
    assert (await web.client.delete(a, headers=web.headers)).status_code == 204
    async with asyncio.timeout(10):
        while (await web.call(b, 2, "echo", text="x")).status_code != 404:
            pass
        async for _ in stream._lines:
            pass


async def test_a_stream_goes_on_at_the_other_replica_when_its_own_is_killed(mortal_replicas, web) -> None:
    a, b = mortal_replicas.mcp
    await web.initialize(a)
    stream = await web.open("GET", a)
    seen = []
    for number in range(3):
        await web.call(b, number, "test_trigger_tool_change")
        seen.append((await stream.message(), stream.last_id))
    mortal_replicas.kill_a()
    async with asyncio.timeout(10):
        try:
            async for _ in stream._lines:
                pass
        except httpx.HTTPError:
            pass
    ids = [event_id for _, event_id in seen]
    assert len(set(ids)) == 3
    # What the client had not read yet when the replica died: everything after the first event.
    resumed = await web.open("GET", b, headers={"Last-Event-ID": ids[0]})
    again = [(await resumed.message(), resumed.last_id) for _ in range(2)]
    assert again == seen[1:]
    await web.call(b, 9, "test_trigger_tool_change")
    assert (await resumed.message())["method"] == "notifications/tools/list_changed"
    assert resumed.last_id not in ids


async def test_the_rest_of_an_answer_is_resumed_on_the_other_replica(replicas, web) -> None:
    a, b = replicas.mcp
    await web.initialize(a)
    params = {"name": "test_tool_with_progress", "arguments": {}, "_meta": {"progressToken": "p"}}
    stream = await web.open("POST", a, json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    first = await stream.message()
    assert first["method"] == "notifications/progress"
    last_id = stream.last_id
    await stream.close()
    resumed = await web.open("GET", b, headers={"Last-Event-ID": last_id})
    messages = [await resumed.message()]
    while "id" not in messages[-1]:
        messages.append(await resumed.message())
    progress = [message["params"]["progress"] for message in (first, *messages[:-1])]
    assert progress == sorted(set(progress))
    assert messages[-1]["id"] == 1

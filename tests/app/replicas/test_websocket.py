"""WebSocket sessions on two replicas."""

from __future__ import annotations

from websockets.exceptions import ConnectionClosed


async def test_a_client_whose_replica_is_killed_goes_on_at_the_other(mortal_replicas, open_socket) -> None:
    a, b = mortal_replicas.ws
    first = await open_socket(a)
    await first.initialize()
    for number in range(1, 6):
        await first.call(number, "echo", text=str(number))
    # It had read the answers up to the second when it was cut off.
    mortal_replicas.kill_a()
    again = await open_socket(f"{b}?session_id={first.session_id}&last_event_id=3")
    assert [(await again.receive())["id"] for _ in range(3)] == [3, 4, 5]
    assert (await again.call(6, "echo", text="on"))["id"] == 6


async def test_nothing_is_lost_or_doubled_when_a_replica_is_killed_amid_answers(mortal_replicas, open_socket) -> None:
    a, b = mortal_replicas.ws
    first = await open_socket(a)
    await first.initialize()
    for number in range(1, 51):
        await first.send(id=number, method="tools/call", params={"name": "echo", "arguments": {"text": "x" * 500}})
    before = [(await first.receive())["id"] for _ in range(10)]
    mortal_replicas.kill_a()
    try:
        while True:
            before.append((await first.receive())["id"])
    except ConnectionClosed:
        pass
    again = await open_socket(f"{b}?session_id={first.session_id}&last_event_id={first.received}")
    answered = await again.request("end", "ping")
    after = []
    while answered["id"] != "end":
        after.append(answered["id"])
        answered = await again.receive()
    # A replica that is killed answers nothing more, but what it put in the log is neither lost nor doubled.
    assert len(before + after) == len(set(before + after))
    everything = await open_socket(f"{b}?session_id={first.session_id}&last_event_id=1")
    logged = [await everything.receive() for _ in range(len(before) + len(after))]
    assert [message["id"] for message in logged] == before + after


async def test_a_session_of_one_transport_is_taken_up_by_another(replicas, open_socket, web) -> None:
    await web.initialize(replicas.mcp[0])
    socket = await open_socket(replicas.ws[1], additional_headers={"Mcp-Session-Id": web.session_id})
    assert (await socket.call(1, "echo", text="x"))["id"] == 1
    await web.call(replicas.mcp[0], 2, "test_trigger_tool_change")
    assert (await socket.receive())["method"] == "notifications/tools/list_changed"


async def test_a_call_on_one_replica_is_cancelled_through_the_other(replicas, open_socket, web) -> None:
    socket = await open_socket(replicas.ws[0])
    await socket.initialize()
    await socket.send(id=1, method="tools/call", params={"name": "wait", "arguments": {"seconds": 60}})
    assert (await socket.request(1, "ping"))["error"]["code"] == -32600  # the id is taken: the call runs
    web.session_id = socket.session_id
    cancel = {"method": "notifications/cancelled", "params": {"requestId": 1}}
    assert (await web.post(replicas.mcp[1], **cancel)).status_code == 202
    answer = await socket.request(1, "ping")
    while "error" in answer:  # until the cancellation has come over
        answer = await socket.request(1, "ping")
    assert answer["result"] == {}


async def test_a_session_taken_up_on_the_other_replica_is_released_by_the_first(replicas, open_socket) -> None:
    first = await open_socket(replicas.ws[0])
    await first.initialize()
    await open_socket(f"{replicas.ws[1]}?session_id={first.session_id}&last_event_id={first.received}")
    assert await first.closed() == (1001, "the session was taken up by another connection")

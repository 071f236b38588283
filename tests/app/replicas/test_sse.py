"""HTTP+SSE sessions on two replicas."""

from __future__ import annotations


async def test_a_message_posted_to_one_replica_is_answered_on_the_stream_of_the_other(replicas, open_sse) -> None:
    sse = await open_sse(replicas.a.url)
    await sse.initialize(replicas.b.url)
    for number, base in enumerate((replicas.b.url, replicas.a.url, replicas.b.url)):
        answer = await sse.call(number, "echo", base, text="x")
        assert answer["id"] == number
        assert answer["result"]["content"][0]["text"] == "x"


async def test_a_tool_on_one_replica_gets_the_answer_posted_to_the_other(replicas, open_sse) -> None:
    sse = await open_sse(replicas.a.url)
    await sse.initialize()
    asked = await sse.call(1, "test_sampling", replicas.a.url, prompt="hi")
    result = {"role": "assistant", "content": {"type": "text", "text": "forty-two"}, "model": "m"}
    await sse.post(replicas.b.url, id=asked["id"], result=result)
    assert "forty-two" in (await sse.receive())["result"]["content"][0]["text"]


async def test_a_stream_goes_on_at_the_other_replica_when_its_own_is_killed(mortal_replicas, open_sse) -> None:
    sse = await open_sse(mortal_replicas.a.url)
    await sse.initialize()
    assert (await sse.call(1, "echo", mortal_replicas.b.url, text="seen"))["id"] == 1
    # Runs on B, and is answered when A, which holds the stream, is dead.
    await sse.post(
        mortal_replicas.b.url, id=2, method="tools/call", params={"name": "wait", "arguments": {"seconds": 0.5}}
    )
    mortal_replicas.kill_a()
    await sse.post(mortal_replicas.b.url, id=3, method="ping")
    await sse.open(mortal_replicas.b.url)
    assert [(await sse.receive())["id"] for _ in range(2)] == [3, 2]
    assert (await sse.call(4, "echo", mortal_replicas.b.url, text="on"))["id"] == 4

"""The API slow, wrong, huge, busy and down: what callers get, and how often it is asked."""

from __future__ import annotations

import asyncio
import gzip
import time

import pytest
from loopback import Reply, as_json, endless, hang, hang_up

from app.resilience import CircuitOpen
from app.toolsets import ToolFailure

GOOD = as_json({"data": {"index": 801, "startDate": "a", "endDate": "b", "time": "c"}, "error": None})


def in_turn(*replies):
    """One behaviour after the other; the last one stays."""
    left = list(replies)

    def reply(request):
        return left.pop(0) if len(left) > 1 else left[0]

    return reply


async def test_a_broken_answer_is_asked_for_again(war, upstream) -> None:
    upstream.routes["/api/war"] = in_turn(Reply(503), Reply(502), GOOD)
    assert (await war("get_war_status"))["war"]["index"] == 801
    assert len(upstream.asked) == 3


async def test_three_attempts_are_all(war, upstream) -> None:
    upstream.routes["/api/war"] = Reply(503)
    with pytest.raises(ToolFailure, match=r"it answered with status 503\. Try again later"):
        await war("get_war_status")
    assert len(upstream.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 404, 500, 301])
async def test_what_will_not_get_better_is_asked_once(war, upstream, status) -> None:
    upstream.routes["/api/war"] = Reply(status, b"<script>", {"location": "http://127.0.0.1:1/"})
    with pytest.raises(ToolFailure, match=f"it answered with status {status}"):
        await war("get_war_status")
    assert len(upstream.asked) == 1


async def test_a_connection_that_breaks_is_tried_again(war, upstream) -> None:
    upstream.routes["/api/war"] = hang_up
    with pytest.raises(ToolFailure, match="it broke off its answer"):
        await war("get_war_status")
    assert len(upstream.asked) == 3


async def test_a_slow_api_costs_no_more_than_the_deadline(make_war, upstream) -> None:
    war = make_war(timeout=0.4)
    upstream.routes["/api/war"] = hang
    began = time.monotonic()
    with pytest.raises(ToolFailure, match="it did not answer within"):
        await war("get_war_status")
    assert time.monotonic() - began < 2


async def test_an_api_that_wants_a_long_pause_is_left_alone(war, upstream) -> None:
    upstream.routes["/api/war"] = Reply(429, b"", {"retry-after": "40"})
    with pytest.raises(ToolFailure, match="asked again in 40 s"):
        await war("get_war_status")
    assert len(upstream.asked) == 1


async def test_a_pause_that_fits_is_kept_and_then_asked_again(war, upstream) -> None:
    upstream.routes["/api/war"] = in_turn(Reply(429, b"", {"retry-after": "0"}), GOOD)
    assert (await war("get_war_status"))["war"]["index"] == 801


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>maintenance</html>",
        b"\xff\xfe",
        b"[]",
        b'{"data": null, "error": {"details": ["no war today"]}}',
        b'{"data": {"index": "many"}}',
        b'{"data": {"index": 1}}',
        b"[" * 100_000,
    ],
)
async def test_an_answer_that_is_not_what_it_should_be_is_told_as_such(war, upstream, body) -> None:
    upstream.routes["/api/war"] = Reply(200, body)
    with pytest.raises(ToolFailure, match="The war API is of no use at present: its answer") as failure:
        await war("get_war_status")
    assert len(str(failure.value)) < 400


async def test_an_endless_answer_is_dropped_at_the_limit(make_war, upstream) -> None:
    war = make_war(max_bytes=100_000)
    upstream.routes["/api/war"] = endless
    with pytest.raises(ToolFailure, match="more than the 100000 bytes"):
        await war("get_war_status")


async def test_a_compressed_answer_is_read_and_a_bomb_is_not_unfolded(make_war, upstream) -> None:
    war = make_war(max_bytes=100_000)
    packed = {"content-encoding": "gzip"}
    upstream.routes["/api/war"] = Reply(200, gzip.compress(GOOD.body), packed)
    assert (await war("get_war_status"))["war"]["index"] == 801
    upstream.routes["/api/statistics/galaxy"] = Reply(200, gzip.compress(b" " * 50_000_000), packed)
    with pytest.raises(ToolFailure, match="more than the 100000 bytes"):
        await war("get_statistics")
    upstream.routes["/api/assignments"] = Reply(200, gzip.compress(GOOD.body)[:-12], packed)
    with pytest.raises(ToolFailure, match="its gzip ends too early"):
        await war("get_major_orders")


async def test_after_five_failures_nothing_is_asked_and_readiness_says_so(war, upstream) -> None:
    upstream.routes["/api/war"] = Reply(503)
    await war.client.upstream.check()
    for _ in range(2):
        with pytest.raises(ToolFailure):
            await war("get_war_status")
    assert len(upstream.asked) == 5
    with pytest.raises(CircuitOpen):
        await war.client.upstream.check()
    with pytest.raises(ToolFailure, match=r"failed too often\. Try again in (29|30) s"):
        await war("get_war_status")
    assert len(upstream.asked) == 5


async def test_an_api_that_is_not_there_at_all_is_told_as_not_reached(make_war, upstream, unused_tcp_port) -> None:
    war = make_war()
    war.client.upstream._base = f"http://127.0.0.1:{unused_tcp_port}"
    with pytest.raises(ToolFailure, match="it cannot be reached"):
        await war("get_war_status")


@pytest.mark.parametrize("trouble", [Reply(503), Reply(200, b"<html>"), Reply(429, b""), hang_up])
async def test_the_last_answer_stands_in_while_the_api_is_in_trouble(make_war, upstream, trouble) -> None:
    war = make_war(fresh_seconds=1e-9)
    assert (await war("get_war_status"))["stale"] is False
    upstream.routes["/api/war"] = trouble
    answer = await war("get_war_status")
    assert (answer["war"]["index"], answer["stale"]) == (801, True)


async def test_a_caller_who_leaves_does_not_end_the_request_of_another(war, upstream) -> None:
    came, go = asyncio.Event(), asyncio.Event()

    async def slow(request, writer) -> None:
        came.set()
        await go.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(GOOD.body) + GOOD.body)

    upstream.routes["/api/war"] = slow
    leaving = asyncio.create_task(war("get_war_status"))
    await came.wait()
    staying = asyncio.create_task(war("get_war_status"))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    go.set()
    assert (await staying)["war"]["index"] == 801
    assert len(upstream.asked) == 1

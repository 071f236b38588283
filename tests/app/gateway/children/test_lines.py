"""What a child writes becomes whole lines, whatever it does to them on the way."""

import asyncio
import json
import logging
import resource
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gateway.children.oversized import refusal
from app.gateway.children.splitter import Splitter


@given(st.binary(max_size=300), st.lists(st.integers(1, 40)))
def test_lines_are_the_same_in_whatever_pieces_they_come(data, sizes):
    splitter = Splitter(1000, pytest.fail)
    found, rest = [], data
    for size in sizes:
        found += splitter.feed(rest[:size]) if rest[:size] else []
        rest = rest[size:]
    found += splitter.feed(rest) if rest else []
    found.append(splitter.rest())
    assert found == [line.removesuffix(b"\r") for line in data.split(b"\n")]


@given(st.lists(st.integers(0, 60), max_size=12), st.integers(1, 50))
def test_lines_beyond_the_longest_are_told_and_no_others_are_lost(lengths, size):
    told = []
    splitter = Splitter(20, lambda head, tail, length: told.append(length))
    data = b"".join(b"x" * length + b"\n" for length in lengths)
    found = [line for at in range(0, len(data), size) for line in splitter.feed(data[at : at + size])]
    assert [len(line) for line in found] == [length for length in lengths if length <= 20]
    assert told == [length for length in lengths if length > 20]


def test_a_line_that_is_too_long_is_not_held(monkeypatch):
    splitter = Splitter(1 << 20, lambda head, tail, length: None)
    for _ in range(200):
        splitter.feed(b"x" * (1 << 16))
    assert sum(map(len, splitter._pieces)) == 0
    assert len(splitter._tail) <= 1024


@pytest.mark.parametrize(
    ("head", "tail", "answered"),
    [
        (b'{"jsonrpc":"2.0","id":7,"result":{', b'"}}', b"7"),
        (b' { "id" : "a\\"b" , "result":{', b'"}}', b'"a\\"b"'),
        (b'{"result":{"id":1,', b'"},"jsonrpc":"2.0","id":12}', b"12"),
        (b'{"result":{"id":1,', b'"}, "id": 12, "jsonrpc":"2.0"} ', b"12"),
        (b'{"result":{"id":1,', b'"id":5}}', None),
        (b'{"method":"sampling/createMessage","id":3,"params":{', b"}}", None),
        (b'{"jsonrpc":"2.0","id":3,"method":"x","params":{', b"}}", None),
        (b"garbage", b"garbage", None),
    ],
)
def test_an_answer_that_is_too_long_becomes_an_error_with_its_id(head, tail, answered):
    error = refusal(head, tail, 5_000_000, 1_000)
    if answered is None:
        assert error is None
        return
    said = json.loads(error)
    assert said["id"] == json.loads(answered)
    assert "5,000,000 bytes, more than the 1,000" in said["error"]["message"]


async def test_lines_written_in_halves_arrive_whole(run):
    child = await run("half-lines")
    for number in range(3):
        await child.lines.send(b'{"number":%d}' % number)
        assert await anext(child.lines) == b'{"number":%d}' % number


async def test_garbage_is_skipped_and_reported(run, tail, caplog):
    caplog.set_level(logging.INFO, "slipway.child")
    child = await run("mutter")
    assert await anext(child.lines) == '{"text":"grün"}'.encode()
    assert await anext(child.lines) == b"[1]"
    child.lines.close_input()
    assert [line async for line in child.lines] == [b'{"last":"without an end"}']
    told = [record.fields["why"] for record in caplog.records if "is no message" in record.message]
    assert told == ["it is no JSON object", "it is no JSON object", "it is not UTF-8"]
    assert "Listening for requests" in tail.lines(10)


async def test_a_line_of_a_hundred_megabytes_arrives_where_it_may(ready):
    child = await ready("long-line", 100, longest_line=128 << 20)
    await child.lines.send(b"{}")
    line = await anext(child.lines)
    assert len(line) == (100 << 20) + len(b'{"jsonrpc":"2.0","id":7,"result":{"text":""}}')


async def test_a_line_of_a_hundred_megabytes_is_refused_without_the_memory_for_it(ready, caplog):
    child = await ready("long-line", 100, longest_line=1 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await child.lines.send(b"{}")
    refused = json.loads(await anext(child.lines))
    assert refused["id"] == 7
    assert "more than the 1,048,576 that one line may have" in refused["error"]["message"]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 30 << 10
    assert any("too long" in record.message for record in caplog.records)
    await child.lines.send(b'{"next":1}')
    assert await anext(child.lines) == b'{"next":1}'


async def test_a_child_that_does_not_read_makes_its_writer_wait(ready):
    child = await ready("deaf")
    line = b'{"text":"' + b"x" * 60_000 + b'"}'
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(_send_for_ever(child.lines, line), 0.2)
    waiting = [asyncio.create_task(child.lines.send(line)) for _ in range(3)]
    await asyncio.sleep(0)
    await child.stop()
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(outcome, EOFError)


async def test_large_lines_from_many_writers_do_not_mix(run):
    child = await run("echo")
    lines = [b'{"%d":"' % number + b"%d" % number * 200_000 + b'"}' for number in range(8)]
    sending = [asyncio.create_task(child.lines.send(line)) for line in lines]
    assert sorted([await anext(child.lines) for _ in lines]) == sorted(lines)
    await asyncio.gather(*sending)


async def test_a_writer_that_gives_up_leaves_no_half_line(run):
    child = await run("echo")
    large = b'{"large":"' + b"x" * 2_000_000 + b'"}'
    sending = asyncio.create_task(child.lines.send(large))
    await asyncio.sleep(0)
    sending.cancel()
    await asyncio.wait({sending})
    after = asyncio.create_task(child.lines.send(b'{"small":1}'))
    assert await anext(child.lines) == large
    assert await anext(child.lines) == b'{"small":1}'
    await after


async def test_a_flood_that_nobody_takes_is_not_held(run):
    child = await run("flood-messages")
    await asyncio.sleep(0.3)
    assert child.lines._output.held < 3 << 20
    for _ in range(3000):
        assert (await anext(child.lines)).startswith(b'{"flood"')


@pytest.mark.parametrize("manner", ["flood-output", "flood-errors"])
async def test_a_flood_leaves_us_time_for_others(ready, run, manner):
    await ready(manner)
    other = await run("echo")
    await asyncio.sleep(0.3)  # what may be read at once has been
    began, used = time.monotonic(), time.process_time()
    for _ in range(50):
        await other.lines.send(b"{}")
        assert await anext(other.lines) == b"{}"
        await asyncio.sleep(0.01)
    assert time.process_time() - used < 0.5 * (time.monotonic() - began)


async def test_a_flood_on_standard_error_does_not_flood_the_log(ready, tail, caplog):
    caplog.set_level(logging.INFO, "slipway.child")
    child = await ready("flood-errors")
    await asyncio.sleep(0.3)
    await child.stop()
    assert len([record for record in caplog.records if record.message == "an error"]) <= 400
    assert len(tail.lines(10_000)) == 1_000


async def test_lines_are_taken_by_one_reader_while_others_write(run):
    child = await run("echo")

    async def write(number):
        for _ in range(50):
            await child.lines.send(b'{"writer":%d}' % number)

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(write(number))
        assert len([await anext(child.lines) for _ in range(200)]) == 200


async def _send_for_ever(lines, line):
    while True:
        await lines.send(line)

"""Limits in time that share one timer."""

import asyncio

import pytest

from app.protocol.pacing import Overdue, TimeLimit, TimeLimitPassed


async def test_what_stays_too_long_is_told_once():
    late = []
    told = asyncio.Event()

    def note(entry):
        late.append(entry)
        told.set()

    overdue = Overdue(0.02, note)
    overdue.add("quick")
    overdue.add("slow")
    overdue.discard("quick")
    overdue.discard("never there")
    await told.wait()
    assert late == ["slow"]


async def test_what_ends_in_time_is_left_alone():
    async def quick():
        return 5

    assert await TimeLimit(10).run(quick()) == 5


async def test_what_takes_too_long_is_cancelled_and_told():
    cancelled = asyncio.Event()

    async def slow():
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(TimeLimitPassed):
        await TimeLimit(0.02).run(slow())
    assert cancelled.is_set()
    assert asyncio.current_task().cancelling() == 0


async def test_cancelling_from_outside_stays_a_cancellation():
    task = asyncio.create_task(TimeLimit(10).run(asyncio.Event().wait()))
    started = asyncio.Event()
    asyncio.get_running_loop().call_soon(started.set)
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_limit_inside_a_limit_ends_only_the_inner_one():
    async def inner():
        with pytest.raises(TimeLimitPassed):
            await TimeLimit(0.02).run(asyncio.Event().wait())
        return "outer goes on"

    assert await TimeLimit(10).run(inner()) == "outer goes on"


def test_a_limit_outlives_the_loop_it_was_first_used_on():
    limit = TimeLimit(0.02)

    async def slow():
        with pytest.raises(TimeLimitPassed):
            await limit.run(asyncio.Event().wait())

    async def abandoned():
        limit._overdue.add(object())

    asyncio.run(abandoned())
    limit._overdue._added.clear()
    asyncio.run(slow())

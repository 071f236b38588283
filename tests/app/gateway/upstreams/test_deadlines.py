"""Deadlines that share a timer do what timeouts of their own would."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from app.gateway.upstreams import deadlines as module
from app.gateway.upstreams.deadlines import Deadlines


@pytest.fixture(params=["of its own", "shared"])
async def deadlines(request, monkeypatch) -> Deadlines:
    if request.param == "shared":
        monkeypatch.setattr(module, "_EXACT", 0.0)
        monkeypatch.setattr(module, "_TICK", 0.01)
    return Deadlines()


async def for_ever() -> None:
    await asyncio.Event().wait()


async def is_cancelled(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """It is cancelled as soon as it waits, and ends as that."""
    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_takes_too_long_is_ended_and_what_does_not_is_left_alone(deadlines):
    with pytest.raises(TimeoutError), deadlines.within(0.03):
        await for_ever()
    with deadlines.within(0.03):
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    assert not deadlines.running


async def test_each_of_many_has_its_own_time(deadlines):
    async def work(seconds: float) -> bool:
        try:
            with deadlines.within(seconds):
                await asyncio.sleep(0.3)
        except TimeoutError:
            return False
        return True

    assert await asyncio.gather(*map(work, (0.02, 60, 0.05, None))) == [False, True, False, True]
    assert not deadlines.running


async def test_whoever_is_cancelled_is_not_told_of_a_deadline(deadlines):
    async def work() -> None:
        with deadlines.within(60):
            await for_ever()

    await is_cancelled(work)
    assert not deadlines.running


async def test_cancelled_and_too_late_at_once_is_cancelled(deadlines):
    async def work() -> None:
        with deadlines.within(0.02):
            try:
                await for_ever()
            finally:
                asyncio.current_task().cancel()
                await asyncio.sleep(0)

    task = asyncio.create_task(work())
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_is_cancelled_and_then_takes_too_long_to_end_is_cancelled(deadlines):
    async def work() -> None:
        with deadlines.within(0.02):
            try:
                await for_ever()
            finally:
                await for_ever()

    await is_cancelled(work)


async def test_an_error_of_its_own_is_kept(deadlines):
    async def work() -> None:
        with deadlines.within(0.02):
            try:
                await for_ever()
            except asyncio.CancelledError:
                raise ValueError("mine") from None

    with pytest.raises(ValueError, match="mine"):
        await work()
    assert asyncio.current_task().cancelling() == 0

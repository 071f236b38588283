"""The cache, the single flight and the bucket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from clock import Clock

from app.resilience import SingleFlight, StaleCache, TokenBucket


class Down(Exception):
    pass


class Source:
    """Counts how often it is asked; answers the count, or fails."""

    def __init__(self) -> None:
        self.asked = 0
        self.down = False

    async def __call__(self) -> int:
        self.asked += 1
        if self.down:
            raise Down
        return self.asked


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def cache(clock: Clock) -> StaleCache[str, int]:
    return StaleCache(ttl=10, stale=100, errors=(Down,), size=2, pause=5, clock=clock)


async def test_a_value_is_fetched_once_until_it_is_old(cache, clock, source) -> None:
    assert (await cache.get("a", source)).value == 1
    clock.now = 9.9
    kept = await cache.get("a", source)
    assert (kept.value, kept.age, kept.stale) == (1, 9.9, False)
    clock.now = 10
    assert (await cache.get("a", source)).value == 2


async def test_an_old_value_stands_in_while_the_source_is_down_and_says_so(cache, clock, source) -> None:
    await cache.get("a", source)
    source.down, clock.now = True, 50
    kept = await cache.get("a", source)
    assert (kept.value, kept.age, kept.stale) == (1, 50, True)


async def test_a_source_that_is_down_is_not_asked_again_at_once(cache, clock, source) -> None:
    await cache.get("a", source)
    source.down, clock.now = True, 50
    for later in (50, 52, 54.9):
        clock.now = later
        assert (await cache.get("a", source)).stale
    assert source.asked == 2
    source.down, clock.now = False, 55
    kept = await cache.get("a", source)
    assert (kept.value, kept.stale) == (3, False)


async def test_a_value_that_is_too_old_does_not_stand_in(cache, clock, source) -> None:
    await cache.get("a", source)
    source.down, clock.now = True, 110
    with pytest.raises(Down):
        await cache.get("a", source)


async def test_with_no_old_value_the_error_is_raised_and_not_kept(cache, source) -> None:
    source.down = True
    with pytest.raises(Down):
        await cache.get("a", source)
    source.down = False
    assert (await cache.get("a", source)).value == 2


async def test_the_value_unused_for_longest_goes_when_there_are_too_many(cache, source) -> None:
    await cache.get("a", source)
    await cache.get("b", source)
    await cache.get("a", source)
    await cache.get("c", source)
    assert (await cache.get("a", source)).value == 1
    assert (await cache.get("b", source)).value == 4


def _gated() -> tuple[asyncio.Event, list[str], Callable[[], Awaitable[str]]]:
    gate, log = asyncio.Event(), []

    async def fetch() -> str:
        log.append("began")
        try:
            await gate.wait()
        except asyncio.CancelledError:
            log.append("cancelled")
            raise
        return "value"

    return gate, log, fetch


async def test_all_who_ask_while_it_is_fetched_get_the_one_answer() -> None:
    flights: SingleFlight[str, str] = SingleFlight()
    gate, log, fetch = _gated()
    callers = [asyncio.create_task(flights.run("a", fetch)) for _ in range(50)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*callers) == ["value"] * 50
    assert log == ["began"]


async def test_one_caller_who_leaves_takes_nothing_from_the_others() -> None:
    flights: SingleFlight[str, str] = SingleFlight()
    gate, log, fetch = _gated()
    leaving, staying = (asyncio.create_task(flights.run("a", fetch)) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    gate.set()
    assert await staying == "value"
    assert log == ["began"]


async def test_a_fetch_that_nobody_waits_for_ends_and_the_next_caller_begins_anew() -> None:
    flights: SingleFlight[str, str] = SingleFlight()
    gate, log, fetch = _gated()
    only = asyncio.create_task(flights.run("a", fetch))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    only.cancel()
    await asyncio.wait([only])
    gate.set()
    assert await flights.run("a", fetch) == "value"
    assert log == ["began", "cancelled", "began"]


async def test_an_error_reaches_everybody_and_is_not_remembered() -> None:
    flights: SingleFlight[str, int] = SingleFlight()
    source = Source()
    source.down = True
    outcomes = await asyncio.gather(*(flights.run("a", source) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Down] * 3
    source.down = False
    assert await flights.run("a", source) == 2


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    clock = Clock()
    bucket = TokenBucket(rate=0.5, burst=3, clock=clock)
    assert [bucket.take() for _ in range(4)] == [0, 0, 0, 2]
    clock.now = 1.5
    assert bucket.take() == pytest.approx(0.5)
    clock.now = 2
    assert bucket.take() == 0
    clock.now = 1000
    assert [bucket.take() for _ in range(4)] == [0, 0, 0, 2]

"""Trying again: how often, how long between, and when not."""

from __future__ import annotations

import pytest

from app.resilience import Backoff, retrying


class Flaky:
    """Fails so often, then answers; time passes only in its pauses."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls = 0
        self.pauses: list[float] = []

    async def __call__(self) -> str:
        self.calls += 1
        if self.calls <= self.failures:
            raise ConnectionError
        return "answer"

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def run(self, backoff: Backoff, *, least: float | None = 0.0, seconds: float = 10.0) -> str:
        left = lambda: seconds - sum(self.pauses)  # noqa: E731
        return await retrying(self, backoff, lambda error: least, left=left, sleep=self.pause)


async def test_pauses_grow_up_to_a_bound_and_are_random_below_it() -> None:
    flaky = Flaky(4)
    assert await flaky.run(Backoff(attempts=5, base=0.5, most=2, jitter=lambda: 1.0)) == "answer"
    assert flaky.pauses == [0.5, 1, 2, 2]
    assert Backoff(base=0.5, jitter=lambda: 0.1).wait(2) == pytest.approx(0.1)
    assert 0 <= Backoff().wait(3) <= 0.8


async def test_the_last_attempts_error_is_raised() -> None:
    flaky = Flaky(9)
    with pytest.raises(ConnectionError):
        await flaky.run(Backoff(attempts=3))
    assert flaky.calls == 3


async def test_an_error_that_will_stay_is_not_tried_again() -> None:
    flaky = Flaky(1)
    with pytest.raises(ConnectionError):
        await flaky.run(Backoff(), least=None)
    assert flaky.calls == 1


async def test_a_pause_that_was_asked_for_is_kept() -> None:
    flaky = Flaky(1)
    await flaky.run(Backoff(jitter=lambda: 0.0), least=3.0)
    assert flaky.pauses == [3.0]


async def test_nothing_is_begun_that_could_not_end_in_time() -> None:
    flaky = Flaky(9)
    with pytest.raises(ConnectionError):
        await flaky.run(Backoff(attempts=9), least=4.0, seconds=10.0)
    assert (flaky.calls, flaky.pauses) == (3, [4.0, 4.0])

"""The circuit breaker: closed, open, and the one attempt that decides."""

from __future__ import annotations

import asyncio

import pytest
from clock import Clock

from app.resilience import CircuitBreaker, CircuitOpen


class Down(Exception):
    pass


@pytest.fixture
def clock() -> Clock:
    return Clock(100.0)


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker((Down,), failures=5, seconds=30, clock=clock)


def fail(breaker: CircuitBreaker, times: int = 1) -> None:
    for _ in range(times):
        with pytest.raises(Down), breaker.attempt():
            raise Down


def succeed(breaker: CircuitBreaker) -> None:
    with breaker.attempt():
        pass


def test_four_failures_leave_it_closed_and_the_fifth_opens_it(breaker: CircuitBreaker) -> None:
    fail(breaker, 4)
    assert not breaker.is_open
    fail(breaker)
    assert breaker.is_open
    with pytest.raises(CircuitOpen) as refused, breaker.attempt():
        pytest.fail("it was asked")
    assert refused.value.retry_after == 30


def test_a_success_between_failures_begins_the_count_anew(breaker: CircuitBreaker) -> None:
    fail(breaker, 4)
    succeed(breaker)
    fail(breaker, 4)
    assert not breaker.is_open


def test_an_error_that_does_not_count_shows_that_the_other_side_answers(breaker: CircuitBreaker) -> None:
    fail(breaker, 4)
    with pytest.raises(KeyError), breaker.attempt():
        raise KeyError
    fail(breaker, 4)
    assert not breaker.is_open


def test_after_its_time_one_attempt_is_let_through_and_closes_it(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 5)
    clock.now += 30
    with breaker.attempt(), pytest.raises(CircuitOpen), breaker.attempt():
        pytest.fail("two were let through")
    assert not breaker.is_open
    succeed(breaker)


def test_a_trial_that_fails_opens_it_for_the_whole_time_again(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 5)
    clock.now += 30
    fail(breaker)
    clock.now += 29.9
    with pytest.raises(CircuitOpen), breaker.attempt():
        pytest.fail("it was asked")
    clock.now += 0.1
    succeed(breaker)


def test_a_cancelled_trial_decides_nothing_and_lets_the_next_one_try(breaker: CircuitBreaker, clock: Clock) -> None:
    fail(breaker, 5)
    clock.now += 30
    with pytest.raises(asyncio.CancelledError), breaker.attempt():
        raise asyncio.CancelledError
    assert breaker.is_open
    succeed(breaker)
    assert not breaker.is_open


def test_an_attempt_from_before_it_opened_does_not_keep_it_open_longer(breaker: CircuitBreaker, clock: Clock) -> None:
    early = breaker.attempt()
    early.__enter__()
    fail(breaker, 5)
    clock.now += 20
    early.__exit__(Down, Down(), None)
    clock.now += 10
    succeed(breaker)

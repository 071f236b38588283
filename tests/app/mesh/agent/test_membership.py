"""Staying registered: when an agent beats, and what it tells."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from app.mesh.agent.membership import Membership
from app.mesh.model import Beat, BeatAnswer, BeatResult, Capability, Registered, Registration, agent_id

Until = Callable[..., Awaitable[None]]
ASKED = 20.0
"""Seconds between heartbeats, as the registry wants it."""


class Listening:
    """A registry that takes down what it is told."""

    url = "http://registry"

    def __init__(self) -> None:
        self.registered: list[Registration] = []
        self.beats: list[Beat] = []
        self.let_go: list[str] = []
        self.resend = False
        self.answers = asyncio.Event()
        self.answers.set()

    async def register(self, told: Registration) -> Registered:
        self.registered.append(told)
        await self.answers.wait()
        return Registered("the-id", 30.0, str(told.token), "the-digest")

    async def beat(self, beat: Beat) -> BeatAnswer:
        self.beats.append(beat)
        resend, self.resend = self.resend, False
        return BeatAnswer([BeatResult(beat.id, "ok", resend)], ASKED)

    async def deregister(self, agent: str, token: str) -> None:
        self.let_go.append(agent)
        await self.answers.wait()


class Member:
    """An agent, the ranges of seconds that it chose its waits from, and what it tells."""

    def __init__(self) -> None:
        self.registry = Listening()
        self.waits: list[tuple[float, float]] = []
        told = Registration("hello", "", "http://10.0.0.1:8080", (Capability("greeting"),))
        self.membership = Membership(self.registry, lambda: told, lambda: 0.25, pod="hello-0", jitter=self._wait)

    def _wait(self, least: float, most: float) -> float:
        self.waits.append((least, most))
        return 0.0


@pytest.fixture
async def member() -> AsyncIterator[Any]:
    made = Member()
    await made.membership.start()
    yield made
    await made.membership.leave()


async def test_heartbeats_come_at_a_random_time_around_the_one_that_the_registry_asked_for(
    member: Member, until: Until
) -> None:
    await until(lambda: len(member.registry.beats) >= 3)
    first, *later = member.waits[:3]
    assert first[0] < 30.0 < first[1]
    for least, most in later:
        assert ASKED / 2 < least < ASKED < most < ASKED * 1.5


async def test_a_heartbeat_repeats_nothing_that_the_registry_knows(member: Member, until: Until) -> None:
    await until(lambda: len(member.registry.beats) >= 2)
    (told,) = member.registry.registered
    assert member.registry.beats[1] == Beat("the-id", str(told.token), 0.25, "the-digest")


async def test_a_registry_that_knows_something_else_is_told_again_under_the_same_name(
    member: Member, until: Until
) -> None:
    await until(lambda: member.registry.beats)
    member.registry.resend = True
    await until(lambda: len(member.registry.registered) >= 2)
    first, again = member.registry.registered[:2]
    assert (again.replica, again.token) == (first.replica, first.token)


async def test_one_who_leaves_while_it_is_registered_lets_go_of_that_too(until: Until) -> None:
    made = Member()
    made.registry.answers.clear()
    await made.membership.start()
    await until(lambda: made.registry.registered)
    made.registry.answers.set()
    await made.membership.leave()
    (told,) = made.registry.registered
    assert made.registry.let_go == [agent_id("hello", told.replica)]


async def test_a_registry_that_does_not_let_go_in_time_is_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, until: Until
) -> None:
    monkeypatch.setattr("app.mesh.agent.membership._LEAVE_SECONDS", 0.01)
    made = Member()
    await made.membership.start()
    await until(lambda: made.membership.joined)
    made.registry.answers.clear()
    with caplog.at_level(logging.WARNING):
        await made.membership.leave()
    assert "could not deregister: no answer in time" in caplog.text

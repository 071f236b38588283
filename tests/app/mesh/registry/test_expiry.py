"""By which clock agents are missed, and what does not make them expire."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from clock import Clock

from app.mesh.model import Record, State
from app.mesh.registry.directory import Directory, beaten
from app.mesh.registry.pace import Pace
from app.mesh.registry.pending import Pending
from app.mesh.registry.replica import GONE_AFTER_IN_SILENCE, Replica
from app.mesh.registry.service import Registry
from app.mesh.store import Change
from app.mesh.stores.memory import MemoryAgents


@pytest.fixture
def clock() -> Clock:
    return Clock(1000.0)


@pytest.fixture
def replica(clock: Clock) -> Replica:
    return Replica(MemoryAgents(clock=clock), Pending(), retention=100.0, clock=clock)


def moves(replica: Replica, clock: Clock) -> list[tuple[str, str]]:
    due = replica.due(list(replica.directory.entries.values()), clock.now)
    return [(replica.directory.entries[move.id].record.replica, move.kind) for move in due]


MakeRecord = Callable[..., Record]


def test_two_intervals_of_silence_degrade_and_four_end(replica: Replica, clock: Clock, record: MakeRecord) -> None:
    entry = replica.directory.set(record(replica="a", health_interval=10), State.HEALTHY, clock.now)
    for seconds, expected in ((20, []), (22, [("a", "degraded")]), (42, [("a", "gone")])):
        clock.now = 1000.0 + seconds
        assert moves(replica, clock) == expected
    replica.directory.apply(Change("e-1", "gone", entry.record.id))
    assert moves(replica, clock) == []
    clock.now += 100
    assert moves(replica, clock) == [("a", "forgotten")]


def test_who_is_heard_in_time_never_expires_however_late_within_two_intervals(
    replica: Replica, clock: Clock, record: MakeRecord
) -> None:
    entry = replica.directory.set(record(replica="a", health_interval=10), State.HEALTHY, clock.now)
    for _ in range(50):
        clock.now += 19.9
        assert moves(replica, clock) == []
        replica.heard(entry, None)


def test_one_heartbeat_after_a_silence_is_not_enough_to_be_healthy(clock: Clock, record: MakeRecord) -> None:
    entry = Directory(clock).set(record(health_interval=10), State.DEGRADED, clock.now)
    assert beaten(entry, clock.now + 30, 10) is False
    assert beaten(entry, clock.now + 60, 10) is False  # again too late: it would only fall back
    assert beaten(entry, clock.now + 70, 10) is True


def test_when_nearly_all_fall_silent_at_once_the_network_is_suspected_first(
    replica: Replica, clock: Clock, record: MakeRecord
) -> None:
    directory = replica.directory
    for number in range(20):
        directory.set(record(replica=f"r{number}", health_interval=10), State.HEALTHY, clock.now)
    clock.now += 30
    for move in replica.due(list(directory.entries.values()), clock.now):
        directory.apply(Change("e-1", "degraded", move.id))
    clock.now += 30
    assert moves(replica, clock) == [(f"r{number}", "degraded") for number in range(0)]
    clock.now += 10 * GONE_AFTER_IN_SILENCE
    assert {kind for _, kind in moves(replica, clock)} == {"gone"}


def test_a_third_falling_silent_is_believed(replica: Replica, clock: Clock, record: MakeRecord) -> None:
    directory = replica.directory
    entries = [directory.set(record(replica=f"r{n}", health_interval=10), State.HEALTHY, clock.now) for n in range(30)]
    for seconds in (30, 60):
        clock.now = 1000.0 + seconds
        for entry in entries[10:]:
            replica.heard(entry, None)
        for move in replica.due(entries, clock.now):
            directory.apply(Change("e-1", move.kind, move.id))
    assert directory.counts == [20, 0, 10]


def test_an_interval_that_was_prolonged_counts_as_prolonged(replica: Replica, clock: Clock, record: MakeRecord) -> None:
    entry = replica.directory.set(record(replica="a", health_interval=10), State.HEALTHY, clock.now)
    replica.pace.stretch = 3.0
    assert replica.heard(entry, None) == 30
    clock.now += 59
    assert moves(replica, clock) == []
    clock.now += 5
    assert moves(replica, clock) == [("a", "degraded")]


def test_what_another_replica_heard_counts_as_heard_with_its_own_interval(
    replica: Replica, clock: Clock, record: MakeRecord
) -> None:
    entry = replica.directory.set(record(replica="a", health_interval=10), State.HEALTHY, clock.now)
    clock.now += 19
    replica.directory.hear([entry.record.id, "nobody"], 2.0)
    clock.now += 39
    assert moves(replica, clock) == []


def test_intervals_grow_with_what_comes_in_and_shrink_step_by_step() -> None:
    pace = Pace(max_beats=100)
    for _ in range(60):
        pace.count(200)
        pace.tick(1.0, 0.0)
    assert 2.0 <= pace.stretch <= 6.0
    before = pace.stretch
    pace.tick(1.0, 0.0)
    assert pace.stretch >= before - 0.25
    for _ in range(60):
        pace.tick(1.0, 0.0)
    assert pace.stretch == 1.0


def test_a_late_event_loop_prolongs_intervals_too() -> None:
    pace = Pace(max_beats=1000)
    for _ in range(30):
        pace.tick(2.0, 1.0)
    assert pace.stretch > 1.5


async def test_replicas_whose_clocks_differ_agree_about_who_is_there(
    serve_registry: Any, body: Any, redis_server: Any, monkeypatch: pytest.MonkeyPatch, eventually: Any
) -> None:
    """Their calendars are a day and a year apart, and their own clocks began at other times, as on other machines."""
    skews = iter((0.0, -86_400.0, 86_400.0 * 365))
    made, begun = Registry.__init__, Replica.__init__

    def of_another_calendar(self: Registry, *given: Any, **named: Any) -> None:
        skew = next(skews)
        made(self, *given, **named, wall=lambda: time.time() + skew)

    def of_another_clock(self: Replica, *given: Any, **named: Any) -> None:
        ahead = random.uniform(1e3, 1e6)
        begun(self, *given, **named, clock=lambda: time.monotonic() + ahead)

    monkeypatch.setattr(Registry, "__init__", of_another_calendar)
    monkeypatch.setattr(Replica, "__init__", of_another_clock)
    registries = [await serve_registry(REDIS_URL=redis_server.url) for _ in range(3)]
    told = [(await registries[n].register(body(replica=f"r{n}", healthInterval=1))).json() for n in range(3)]
    for registry in registries:

        async def knows_all(registry: Any = registry) -> bool:
            return (await registry.discover("greeting"))["total"] == 3

        await eventually(knows_all)
    loop = asyncio.get_running_loop()
    until = loop.time() + 6  # an agent that is not heard is gone by then
    rounds = 0
    while loop.time() < until:
        rounds += 1
        for at, one in enumerate(told):  # each is heard by another replica each time
            answer = await registries[(at + rounds) % 3].beat({"id": one["id"], "token": one["token"]})
            assert [result["status"] for result in answer["results"]] == ["ok"]
        await asyncio.sleep(0.3)
        for registry in registries:
            found = (await registry.discover("greeting"))["agents"]
            assert [agent["state"] for agent in found] == ["healthy"] * 3


@pytest.mark.parametrize("skew", [-86_400, 0, 86_400 * 365])
async def test_a_calendar_that_is_wrong_or_jumps_expires_nobody(
    serve_registry: Any, body: Any, monkeypatch: pytest.MonkeyPatch, skew: float
) -> None:
    wall = [1_700_000_000.0]
    made = Registry.__init__

    def skewed(self: Registry, *given: Any, **named: Any) -> None:
        made(self, *given, **named, wall=lambda: wall[0])

    monkeypatch.setattr(Registry, "__init__", skewed)
    registry = await serve_registry()
    one = (await registry.register(body(replica="a", healthInterval=60))).json()
    wall[0] += skew
    two = (await registry.register(body(replica="b", healthInterval=60))).json()
    beats = [{"id": made["id"], "token": made["token"]} for made in (one, two)]
    assert {result["status"] for result in (await registry.beat(*beats))["results"]} == {"ok"}
    found = (await registry.discover("greeting"))["agents"]
    assert [agent["state"] for agent in found] == ["healthy", "healthy"]

"""Finding agents: what is remembered, what DNS adds, who is asked first, and how often it is tried again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from clock import Clock

from app.mesh.agent.budget import RetryBudget
from app.mesh.agent.directory import RegistryAway
from app.mesh.agent.finding import Candidate, Finder
from app.mesh.agent.peers import Peers
from app.mesh.model import Dependency, Found

NEED = Dependency("greeting", "^1")


def found(endpoint: str, state: str = "healthy", name: str = "hello") -> Found:
    return Found(endpoint, name, endpoint, "greeting", "1.0.0", 30, (), None, state)


class Told:
    """A registry that answers as the test says."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.etags: list[str | None] = []

    async def discover(self, need: Dependency, etag: str | None) -> tuple[list[Found] | None, str | None]:
        self.etags.append(etag)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def no_such_host(host: str, port: int) -> list[str]:
    raise OSError(f"{host}:{port}")


async def test_the_registry_is_asked_once_while_its_answer_is_fresh_and_by_its_tag_after_that() -> None:
    clock = Clock(100.0)
    told = Told(([found("http://10.0.0.1:8080")], '"a"'), (None, '"a"'), ([], '"b"'))
    finder = Finder(told, service=None, fresh=5, clock=clock)
    first = await finder.candidates(NEED)
    assert await finder.candidates(NEED) == first
    clock.now += 6
    assert await finder.candidates(NEED) == first
    assert await finder.candidates(NEED, anew=True) == []
    assert told.etags == [None, '"a"', '"a"']


async def test_what_was_known_serves_while_the_registry_is_away() -> None:
    clock = Clock(100.0)
    told = Told(([found("http://10.0.0.1:8080")], '"a"'), RegistryAway("gone"), (None, '"a"'))
    finder = Finder(told, service="{agent}-headless.mesh.svc", clock=clock, resolve=no_such_host)
    before = await finder.candidates(NEED)
    clock.now += 60
    assert await finder.candidates(NEED) == before
    clock.now += 60
    assert await finder.candidates(NEED) == before


async def test_a_registry_that_does_not_answer_holds_nobody_up_who_knows_somebody() -> None:
    clock = Clock(100.0)
    silent = Told(([found("http://10.0.0.1:8080")], '"a"'), ([found("http://10.0.0.2:8080")], '"b"'))
    answer = asyncio.Event()
    finder = Finder(silent, service=None, clock=clock)
    before = await finder.candidates(NEED)
    discover = silent.discover

    async def late(need: Dependency, etag: str | None) -> Any:
        await answer.wait()
        return await discover(need, etag)

    silent.discover = late
    clock.now += 60
    for anew in (False, True, True):
        async with asyncio.timeout(5):  # far less than the registry's own time
            assert await finder.candidates(NEED, anew=anew) == before
    answer.set()
    assert [one.endpoint for one in await finder.candidates(NEED, anew=True)] == ["http://10.0.0.2:8080"]
    assert len(silent.etags) == 2


async def test_dns_lists_the_pods_of_now_while_the_registry_is_away() -> None:
    clock = Clock(100.0)
    asked: list[tuple[str, int]] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["10.0.0.8", "fd00::9"]

    told = Told(([found("http://10.0.0.1:8181")], '"a"'), RegistryAway("gone"))
    finder = Finder(told, service="{agent}-headless.mesh.svc", clock=clock, resolve=resolve)
    await finder.candidates(NEED)
    clock.now += 60
    now = await finder.candidates(NEED)
    assert [one.endpoint for one in now] == ["http://10.0.0.8:8181", "http://[fd00::9]:8181"]
    assert asked == [("hello-headless.mesh.svc", 8181)]


async def test_with_no_registry_at_all_a_service_of_the_capabilitys_name_is_looked_for() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["10.0.0.8"] if host == "greeting-headless.mesh.svc" else []

    finder = Finder(None, service="{agent}-headless.mesh.svc", resolve=resolve)
    assert [one.endpoint for one in await finder.candidates(NEED)] == ["http://10.0.0.8:8080"]


def candidate(name: str, *, degraded: bool = False) -> Candidate:
    return Candidate(f"http://{name}", name, 30, degraded)


async def test_the_healthy_and_the_least_busy_are_asked_first() -> None:
    peers = Peers()
    all_of_them = [candidate("a"), candidate("b"), candidate("c", degraded=True)]
    first = peers.choose(all_of_them, ())
    assert first is not None
    first[1].running = 2
    second = peers.choose(all_of_them, ())
    assert second is not None
    assert {first[0].agent, second[0].agent} == {"a", "b"}
    last = peers.choose(all_of_them, {"http://a", "http://b"})
    assert last is not None
    assert last[0].agent == "c"
    assert peers.choose(all_of_them, {"http://a", "http://b", "http://c"}) is None


@pytest.mark.parametrize(("calls", "retries"), [(0, 100), (500, 200)])
def test_retries_are_a_share_of_the_calls_and_ten_a_second(calls: int, retries: int) -> None:
    clock = Clock(100.0)
    budget = RetryBudget(clock=clock)
    for _ in range(calls):
        budget.called()
    assert [budget.retry() for _ in range(retries)] == [True] * retries
    assert not budget.retry()
    clock.now += 10.1
    assert budget.retry()

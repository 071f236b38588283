"""Lookups in the index: a bounded number of agents, none twice, and not the same ones for everybody."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.mesh.model import Capability, Record, State
from app.mesh.registry.directory import Directory
from app.mesh.registry.discovery import Discovery, Query


@pytest.mark.parametrize("limit", [1, 7, 29, 30, 100])
def test_each_lookup_begins_elsewhere_and_finds_no_agent_twice(record: Callable[..., Record], limit: int) -> None:
    directory = Directory()
    for number in range(30):
        offered = (Capability("greeting", f"1.{number % 4}.0", tags=("even",) if number % 2 == 0 else ()),)
        directory.set(record(replica=f"r{number}", capabilities=offered), State.HEALTHY, 0.0)
    discovery = Discovery(directory)
    seen: set[str] = set()
    for _ in range(400):
        found = [agent.id for agent in discovery.search(Query("greeting", limit=limit))]
        assert len(found) == len(set(found)) == min(limit, 30)
        seen.update(found)
    assert len(seen) == 30
    even = {agent.id for agent in discovery.search(Query("greeting", "^1.2", ("even",)))}
    assert even == {record(replica=f"r{number}").id for number in range(30) if number % 4 == 2}


@pytest.mark.parametrize("versions", [3, 40])
def test_tags_choose_among_few_and_among_many_also_once_some_have_left(
    record: Callable[..., Record], versions: int
) -> None:
    directory = Directory()
    told: dict[str, set[str]] = {}
    for number in range(versions):
        tags = ("all", "even" if number % 2 == 0 else "odd")
        made = record(replica=f"r{number}", capabilities=(Capability("greeting", f"1.{number}.0", tags=tags),))
        directory.set(made, State.HEALTHY, 0.0)
        told[made.id] = set(tags)
    discovery = Discovery(directory)

    def found(*tags: str) -> set[str]:
        return {agent.id for agent in discovery.search(Query("greeting", tags=tags))}

    for left in (None, next(iter(told))):
        if left is not None:
            directory.drop(left)
            del told[left]
        for tags in (("all",), ("even",), ("all", "odd"), ("even", "odd"), ("nothing",)):
            assert found(*tags) == {agent for agent, has in told.items() if has.issuperset(tags)}

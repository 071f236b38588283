"""What the operator knows of the registry's agents, and from when."""

from __future__ import annotations

import asyncio
import time

import pytest

from app.operator import directory as module
from app.operator.directory import Directory, Registered, Registry, RegistryAway

HELLO = Registered("1", "hello", "http://10.0.0.1:8080")


class Listing(Registry):
    """A registry whose lists are at hand."""

    def __init__(self) -> None:
        super().__init__("http://registry")
        self.agents: list[Registered] = []
        self.lists = 0
        self.away = False

    async def all(self) -> list[Registered]:
        self.lists += 1
        if self.away:
            raise RegistryAway("it is away")
        await asyncio.sleep(0)
        return list(self.agents)


@pytest.fixture
def listing() -> Listing:
    return Listing()


@pytest.fixture
def directory(listing: Listing, monkeypatch: pytest.MonkeyPatch) -> Directory:
    monkeypatch.setattr(module, "_AGAIN_SECONDS", 0.0)
    return Directory(listing)


async def test_who_registered_after_the_last_list_is_known_once_a_later_one_is_asked_for(listing, directory):
    await directory.refresh()
    listing.agents = [HELLO]
    assert directory.of("any", "hello") == ()
    assert await directory.is_from_after(time.monotonic())
    assert directory.of("any", "hello") == (HELLO,)


async def test_one_list_serves_all_who_ask_for_what_was_before_it(listing, directory):
    moment = time.monotonic()
    assert all([await directory.is_from_after(moment) for _ in range(5)])
    assert listing.lists == 1


async def test_a_list_that_is_on_its_way_is_not_known_yet(listing, directory, monkeypatch):
    moment = time.monotonic()
    asking = asyncio.create_task(directory.refresh())
    await asyncio.sleep(0)
    monkeypatch.setattr(module, "_AGAIN_SECONDS", 60.0)
    assert not await directory.is_from_after(moment)
    await asking
    assert await directory.is_from_after(moment)
    assert listing.lists == 1


async def test_an_absence_is_news_too(listing, directory):
    await directory.refresh()
    listing.away = True
    assert await directory.is_from_after(time.monotonic())
    assert directory.of("any", "hello") is None

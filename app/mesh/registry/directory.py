"""This replica's copy of all agents, indexed by what they can do, with when each was last heard."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from types import MappingProxyType

import msgspec

from app.mesh.endpoints import address_of
from app.mesh.model import Ability, Record, State
from app.mesh.store import STATE_AFTER, Change

_versions = count(1)
_STREAK = 2  # heartbeats on time after which an agent counts as healthy again
_MANY = 16  # offers of one capability from which on an index by tag is worth its memory


class Entry(msgspec.Struct, gc=False, eq=False):
    """One agent. Times are of this process's own clock, which nothing sets back."""

    record: Record
    state: State
    heard: float
    pace: float
    """Seconds in which it was last asked to be heard again."""
    load: float | None = None
    streak: int = 0
    turned: float | None = None
    """When its state changed last, by the calendar: only to be shown."""


class Offer:
    """One ability, and who has it."""

    __slots__ = ("ability", "degraded", "healthy")

    def __init__(self, ability: Ability) -> None:
        self.ability = ability
        self.healthy: Mapping[str, Entry] = _NOBODY
        self.degraded: Mapping[str, Entry] = _NOBODY

    def place(self, entry: Entry) -> None:
        self.drop(entry.record.id)
        if entry.state is State.HEALTHY:
            self.healthy = _with(self.healthy, entry)
        elif entry.state is State.DEGRADED:
            self.degraded = _with(self.degraded, entry)

    def drop(self, agent: str) -> bool:
        """Whether nobody is left."""
        self.healthy = _without(self.healthy, agent)
        self.degraded = _without(self.degraded, agent)
        return not self.healthy and not self.degraded


_NOBODY: Mapping[str, Entry] = MappingProxyType({})
"""Takes the place of dictionaries with nobody in them, of which there are many."""


def _with(entries: Mapping[str, Entry], entry: Entry) -> Mapping[str, Entry]:
    kept = entries if isinstance(entries, dict) else dict[str, Entry]()
    kept[entry.record.id] = entry
    return kept


def _without(entries: Mapping[str, Entry], agent: str) -> Mapping[str, Entry]:
    if not isinstance(entries, dict):
        return entries
    entries.pop(agent, None)
    return entries or _NOBODY


class Shelf:
    """All offers of one capability; `version` is another after each change, and never one that a shelf had before."""

    __slots__ = ("_by_tag", "offers", "version")

    def __init__(self) -> None:
        self.offers: dict[Ability, Offer] = {}
        self._by_tag: dict[str, dict[Ability, Offer]] | None = None
        self.version = next(_versions)

    def tagged(self, tags: tuple[str, ...]) -> Iterable[Offer]:
        """The offers that have all of these tags."""
        if not tags:
            return self.offers.values()
        index = self._by_tag
        # Of the tags, the rarest leaves the least to look at.
        some = self.offers if index is None else min((index.get(tag, {}) for tag in tags), key=len)
        wanted = set(tags)
        return (offer for ability, offer in some.items() if wanted.issubset(ability.tags))

    def place(self, ability: Ability, entry: Entry) -> None:
        self.version = next(_versions)
        offer = self.offers.get(ability)
        if offer is None:
            offer = self.offers[ability] = Offer(ability)
            if self._by_tag is not None:
                self._index(offer)
            elif len(self.offers) > _MANY:
                self._by_tag = {}
                for each in self.offers.values():
                    self._index(each)
        offer.place(entry)

    def drop(self, ability: Ability, agent: str) -> bool:
        """Whether nothing is left."""
        self.version = next(_versions)
        offer = self.offers.get(ability)
        if offer is not None and offer.drop(agent):
            del self.offers[ability]
            if self._by_tag is not None:
                for tag in ability.tags:
                    tagged = self._by_tag[tag]
                    del tagged[ability]
                    if not tagged:
                        del self._by_tag[tag]
        return not self.offers

    def _index(self, offer: Offer) -> None:
        assert self._by_tag is not None  # noqa: S101 the callers have made it
        for tag in offer.ability.tags:
            self._by_tag.setdefault(tag, {})[offer.ability] = offer


class Directory:
    """Agents by id, by name and by capability."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.entries: dict[str, Entry] = {}
        self.by_name: dict[str, dict[str, Entry]] = {}
        self.at_address: dict[str, int] = {}
        """How many agents said that they are at an address."""
        self.shelves: dict[str, Shelf] = {}
        self.counts = [0, 0, 0]
        """How many agents are in each state."""
        self.version = 0
        self._clock = clock

    def __len__(self) -> int:
        return len(self.entries)

    def get(self, agent: str) -> Entry | None:
        return self.entries.get(agent)

    def named(self, name: str) -> Iterable[Entry]:
        return self.by_name.get(name, {}).values()

    def shelf(self, capability: str) -> Shelf | None:
        return self.shelves.get(capability)

    def replace(self, agents: Iterable[tuple[Record, State]]) -> None:
        """Take over a whole new state; who is known already was heard when it was heard."""
        now = self._clock()
        seen: set[str] = set()
        for record, state in agents:
            seen.add(record.id)
            self.set(record, state, now)
        for agent in [agent for agent in self.entries if agent not in seen]:
            self.drop(agent)

    def apply(self, change: Change) -> None:
        """Take over one change. Applying it twice does nothing more."""
        state = STATE_AFTER.get(change.kind)
        if state is None:
            self.drop(change.id)
            return
        entry = self.entries.get(change.id)
        if change.record is not None:
            self.set(change.record, state, self._clock(), fresh=True)
        elif entry is not None:
            self._turn(entry, state)

    def set(self, record: Record, state: State, now: float, *, fresh: bool = False) -> Entry:
        """Keep a record; `fresh` when the agent itself was heard just now."""
        entry = self.entries.get(record.id)
        if entry is None:
            entry = self.entries[record.id] = Entry(record, state, now, record.profile.interval)
            self.by_name.setdefault(record.name, {})[record.id] = entry
            self._count_address(record, 1)
            self.counts[state] += 1
            self.version += 1
            self._place(entry)
            return entry
        if fresh:
            entry.heard = now
        if record.profile is not entry.record.profile:
            self._unplace(entry, keep=record.profile.abilities)
            entry.pace = max(entry.pace, record.profile.interval)
        if entry.record is not record and entry.record != record:
            self._count_address(entry.record, -1)
            self._count_address(record, 1)
            entry.record = record
            self.version += 1
            self._place(entry)
        self._turn(entry, state)
        return entry

    def drop(self, agent: str) -> None:
        entry = self.entries.pop(agent, None)
        if entry is None:
            return
        self.counts[entry.state] -= 1
        self.version += 1
        name = entry.record.name
        same = self.by_name[name]
        del same[agent]
        if not same:
            del self.by_name[name]
        self._count_address(entry.record, -1)
        self._unplace(entry)

    def hear(self, ids: Iterable[str], stretch: float) -> None:
        """Other replicas have heard these."""
        now = self._clock()
        entries = self.entries
        for agent in ids:
            entry = entries.get(agent)
            if entry is not None:
                beaten(entry, now, entry.record.profile.interval * stretch)

    def _count_address(self, record: Record, more: int) -> None:
        address = address_of(record.endpoint)
        left = self.at_address.get(address, 0) + more
        if left:
            self.at_address[address] = left
        else:
            del self.at_address[address]

    def _turn(self, entry: Entry, state: State) -> None:
        if entry.state is state:
            return
        self.counts[entry.state] -= 1
        self.counts[state] += 1
        entry.state = state
        entry.streak = 0
        entry.turned = time.time()
        self.version += 1
        self._place(entry)

    def _place(self, entry: Entry) -> None:
        for ability in entry.record.profile.abilities:
            shelf = self.shelves.get(ability.name)
            if shelf is None:
                shelf = self.shelves[ability.name] = Shelf()
            shelf.place(ability, entry)

    def _unplace(self, entry: Entry, keep: tuple[Ability, ...] = ()) -> None:
        for ability in entry.record.profile.abilities:
            shelf = self.shelves.get(ability.name)
            if shelf is not None and ability not in keep and shelf.drop(ability, entry.record.id):
                del self.shelves[ability.name]


def beaten(entry: Entry, now: float, pace: float) -> bool:
    """An agent was heard. Whether it has been heard often enough to be healthy again."""
    on_time = now - entry.heard <= 2 * entry.pace
    entry.heard = now
    entry.pace = pace
    if entry.state is State.HEALTHY:
        return False
    entry.streak = entry.streak + 1 if on_time or not entry.streak else 1
    return entry.streak >= _STREAK

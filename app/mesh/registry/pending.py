"""What a replica keeps for itself: its copy of the agents, and what it accepted while the store was away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from app.mesh.model import Record, State
from app.mesh.registry.directory import Entry
from app.mesh.store import AgentStore, Change, OutcomeKind, Put

_AT_ONCE = 200


@dataclass(slots=True)
class Kept:
    """What was kept of an earlier run."""

    position: str | None = None
    agents: list[tuple[Record, State]] = field(default_factory=list[tuple[Record, State]])
    puts: list[Put] = field(default_factory=list[Put])
    removals: list[str] = field(default_factory=list[str])


class Copy(Protocol):
    """A file that outlives the process."""

    async def open(self) -> Kept:
        """What it has."""
        ...

    def keep(self, change: Change, entry: Entry | None) -> None:
        """Write a change down, soon."""
        ...

    def keep_whole(self, position: str, agents: Sequence[tuple[Record, State]]) -> None:
        """Replace everything, soon."""
        ...

    async def keep_put(self, put: Put) -> None:
        """Return when the registration would survive the process."""
        ...

    async def keep_removal(self, agent: str) -> None:
        """Return when the removal would survive the process."""
        ...

    async def delivered(self, ids: Sequence[str]) -> None:
        """These are in the store now."""
        ...

    async def close(self) -> None:
        """Write what is left."""
        ...


class CannotBuffer(Exception):
    """The store is away, and there is no room or no folder to keep more until it is back."""


class Pending:
    """Registrations and removals that the store has not got yet; bounded, and kept in the copy before they count."""

    def __init__(self, copy: Copy | None = None, *, most: int = 10_000) -> None:
        self.puts: dict[str, Record] = {}
        self.removals: set[str] = set()
        self._proved: set[str] = set()
        self._copy = copy
        self._most = most
        self._delivering = False

    @property
    def waiting(self) -> bool:
        return bool(self.puts or self.removals)

    async def open(self) -> Kept:
        """What an earlier run left."""
        if self._copy is None:
            return Kept()
        kept = await self._copy.open()
        for put in kept.puts:
            self.puts[put.record.id] = put.record
            if put.proved:
                self._proved.add(put.record.id)
        self.removals.update(kept.removals)
        return kept

    def keep(self, change: Change, entry: Entry | None) -> None:
        if self._copy is not None:
            self._copy.keep(change, entry)

    def keep_whole(self, position: str, agents: Sequence[tuple[Record, State]]) -> None:
        if self._copy is not None:
            self._copy.keep_whole(position, agents)

    async def put(self, put: Put) -> None:
        """Accept a registration. Raises `CannotBuffer`."""
        if self._copy is None or len(self.puts) + len(self.removals) >= self._most:
            raise CannotBuffer
        await self._copy.keep_put(put)
        self.puts[put.record.id] = put.record
        self.removals.discard(put.record.id)
        if put.proved:
            self._proved.add(put.record.id)

    async def remove(self, agent: str) -> None:
        """Accept a removal. Raises `CannotBuffer`."""
        if self._copy is None or len(self.puts) + len(self.removals) >= self._most:
            raise CannotBuffer
        await self._copy.keep_removal(agent)
        self.puts.pop(agent, None)
        self.removals.add(agent)

    async def deliver(self, store: AgentStore) -> list[tuple[Record, OutcomeKind]]:
        """Hand everything to the store; what it refused. Raises `StoreUnavailable` with the rest still kept."""
        refused: list[tuple[Record, OutcomeKind]] = []
        if self._delivering:
            return refused
        self._delivering = True
        try:
            while self.removals:
                ids = list(self.removals)[:_AT_ONCE]
                await store.remove(ids)
                self.removals.difference_update(ids)
                await self._delivered(ids)
            while self.puts:
                batch = list(self.puts.values())[:_AT_ONCE]
                outcomes = await store.put([Put(record, record.id in self._proved) for record in batch])
                for record, outcome in zip(batch, outcomes, strict=True):
                    if outcome in ("taken", "foreign", "full"):
                        refused.append((record, outcome))
                    if self.puts.get(record.id) is record:
                        del self.puts[record.id]
                        self._proved.discard(record.id)
                await self._delivered([record.id for record in batch])
        finally:
            self._delivering = False
        return refused

    async def _delivered(self, ids: Sequence[str]) -> None:
        if self._copy is not None:
            await self._copy.delivered(ids)

    async def close(self) -> None:
        if self._copy is not None:
            await self._copy.close()

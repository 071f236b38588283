"""The rules of a store, for those that keep everything in this process: who may be put, and what changes then."""

from __future__ import annotations

import asyncio
import secrets
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager

import msgspec

from app.mesh.model import Record, State
from app.mesh.store import STATE_AFTER, Change, ChangeKind, MeshLimits, Move, News, OutcomeKind, Put, Snapshot

Followed = asyncio.Queue[News | None]
"""What one who follows has not read yet."""


class Kept(msgspec.Struct, gc=False, eq=False):
    """One agent of a ledger."""

    record: Record
    state: State
    heard: float


class Ledger:
    """Agents, and who follows what becomes of them. Every rule answers with the changes that it made."""

    def __init__(
        self, limits: MeshLimits, *, epoch: str | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits = limits
        self.epoch = epoch or secrets.token_hex(6)
        self.sequence = 0
        self.agents: dict[str, Kept] = {}
        self._clock = clock
        self._owned: Counter[tuple[str, str]] = Counter()
        self._owners: dict[str, str] = {}
        self._followers: list[Followed] = []

    @property
    def position(self) -> str:
        return f"{self.epoch}-{self.sequence}"

    def load(self, agents: Iterable[tuple[Record, State]], sequence: int) -> None:
        """Begin with what was kept; everyone counts as heard just now."""
        self.agents.clear()
        self._owned.clear()
        self._owners.clear()
        for record, state in agents:
            self._keep(record, state)
        self.sequence = sequence

    def put(self, put: Put) -> tuple[OutcomeKind, Change | None]:
        record = put.record
        kept = self.agents.get(record.id)
        known, state = (None, State.GONE) if kept is None else (kept.record, kept.state)
        owner = self._owners.get(record.name, record.owner)
        if owner != record.owner and not (known is not None and put.proved):
            return "foreign", None
        if known is None:
            if len(self.agents) >= self.limits.max_agents:
                return "full", None
        elif known.secret == record.secret and known.digest == record.digest and state is State.HEALTHY:
            self.beat((record.id,))
            return "same", None
        elif known.secret != record.secret and not put.proved and state is not State.GONE:
            return "taken", None
        kind: ChangeKind = "registered" if known is None or state is State.GONE else "changed"
        change = self._note(kind, record.id, record)
        self.beat((record.id,))
        return kind, change

    def remove(self, agent: str) -> Change | None:
        return self._note("deregistered", agent) if agent in self.agents else None

    def beat(self, ids: Sequence[str]) -> None:
        now = self._clock()
        for agent in ids:
            kept = self.agents.get(agent)
            if kept is not None:
                kept.heard = now

    def move(self, move: Move) -> Change | None:
        kept = self.agents.get(move.id)
        if kept is None or (move.kind != "recovered" and self._clock() - kept.heard < move.silent):
            return None
        state = kept.state
        allowed = {
            "degraded": state is State.HEALTHY,
            "gone": state is not State.GONE,
            "recovered": state is not State.HEALTHY,
            "forgotten": state is State.GONE,
        }
        return self._note(move.kind, move.id) if allowed[move.kind] else None

    def tell(self, changes: Iterable[Change]) -> None:
        """Pass changes on to those who follow."""
        for change in changes:
            for queue in self._followers:
                queue.put_nowait(change)

    def enter(self, after: str | None, log: Sequence[Change]) -> Followed:
        """What was missed since a position, of the latest changes, and what will be told."""
        queue: Followed = asyncio.Queue()
        missed = self._after(after, log)
        if missed is None:
            agents = [(kept.record, kept.state) for kept in self.agents.values()]
            queue.put_nowait(Snapshot(self.position, agents, list(log)))
        for change in missed or ():
            queue.put_nowait(change)
        self._followers.append(queue)
        return queue

    def leave(self, queue: Followed) -> None:
        """Nobody reads it any more."""
        self._followers.remove(queue)

    def end(self) -> None:
        """Nothing follows any more."""
        for queue in self._followers:
            queue.put_nowait(None)

    def _after(self, position: str | None, log: Sequence[Change]) -> Sequence[Change] | None:
        if position is None:
            return None
        if position == self.position:
            return []
        places = [change.position for change in log]
        return log[places.index(position) + 1 :] if position in places else None

    def _note(self, kind: ChangeKind, agent: str, record: Record | None = None) -> Change:
        self.sequence += 1
        state = STATE_AFTER.get(kind)
        if state is None:
            self._drop(agent)
        elif record is not None:
            self._keep(record, state)
        else:
            self.agents[agent].state = state
        return Change(self.position, kind, agent, record)

    def _keep(self, record: Record, state: State) -> None:
        known = self.agents.get(record.id)
        if known is None or known.record.owner != record.owner:
            if known is not None:
                self._disown(known.record)
            if record.owner:
                self._owned[record.name, record.owner] += 1
                self._owners[record.name] = record.owner
        if known is None:
            self.agents[record.id] = Kept(record, state, self._clock())
        else:
            known.record, known.state = record, state

    def _drop(self, agent: str) -> None:
        self._disown(self.agents.pop(agent).record)

    def _disown(self, record: Record) -> None:
        if record.owner:
            self._owned[record.name, record.owner] -= 1
            if not self._owned[record.name, record.owner]:
                del self._owned[record.name, record.owner]
                if self._owners.get(record.name) == record.owner:
                    del self._owners[record.name]


async def _drain(queue: Followed) -> AsyncIterator[News]:
    while (news := await queue.get()) is not None:
        yield news


class LedgerAgents(ABC):
    """What `AgentStore`s with a ledger have in common: all but how a change is kept."""

    shared = False

    def __init__(self, limits: MeshLimits | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = Ledger(limits or MeshLimits(), clock=clock)

    async def start(self) -> None:
        return

    async def put(self, puts: Sequence[Put]) -> list[OutcomeKind]:
        outcomes: list[OutcomeKind] = []

        def work() -> list[Change]:
            made = [self._ledger.put(put) for put in puts]
            outcomes.extend(outcome for outcome, _ in made)
            return [change for _, change in made if change is not None]

        await self._change(work)
        return outcomes

    async def remove(self, ids: Sequence[str]) -> None:
        await self._change(lambda: [change for agent in ids if (change := self._ledger.remove(agent)) is not None])

    async def beat(self, ids: Sequence[str], stretch: float) -> None:  # noqa: ARG002 (nobody else listens)
        self._ledger.beat(ids)

    async def expire(self, moves: Sequence[Move]) -> None:
        await self._change(lambda: [change for move in moves if (change := self._ledger.move(move)) is not None])

    async def find(self, ids: Sequence[str]) -> list[Record | None]:
        found = [self._ledger.agents.get(agent) for agent in ids]
        return [None if kept is None else kept.record for kept in found]

    @asynccontextmanager
    async def follow(self, after: str | None) -> AsyncGenerator[AsyncIterator[News]]:
        queue = await self._enter(after)
        try:
            yield _drain(queue)
        finally:
            self._ledger.leave(queue)

    async def restore(self, agents: Sequence[tuple[Record, State]]) -> None:  # noqa: ARG002 (nothing is ever lost)
        return

    @abstractmethod
    async def _enter(self, after: str | None) -> Followed:
        """Begin to follow, with the latest changes as they are kept."""

    @abstractmethod
    async def _change(self, work: Callable[[], list[Change]]) -> None:
        """Change the ledger by what `work` does, then tell those who follow."""

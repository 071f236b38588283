"""The rules of a store, for those that keep everything in this process: who may be put, and what changes then."""

from __future__ import annotations

import asyncio
import secrets
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from app.mesh.model import Record, State
from app.mesh.store import STATE_AFTER, Change, ChangeKind, MeshLimits, Move, News, OutcomeKind, Put, Snapshot


class Ledger:
    """Agents and the latest changes. Every rule answers with the changes that it made."""

    def __init__(
        self, limits: MeshLimits, *, epoch: str | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.limits = limits
        self.epoch = epoch or secrets.token_hex(6)
        self.sequence = 0
        self.agents: dict[str, tuple[Record, State]] = {}
        self.log: deque[Change] = deque(maxlen=limits.max_log)
        self._clock = clock
        self._heard: dict[str, float] = {}
        self._owned: Counter[tuple[str, str]] = Counter()
        self._owners: dict[str, str] = {}
        self._followers: list[asyncio.Queue[News | None]] = []

    @property
    def position(self) -> str:
        return f"{self.epoch}-{self.sequence}"

    def load(self, agents: Iterable[tuple[Record, State]], log: Iterable[Change], sequence: int) -> None:
        """Begin with what was kept; everyone counts as heard just now."""
        self.agents.clear()
        self._owned.clear()
        self._owners.clear()
        for record, state in agents:
            self._keep(record, state)
        self.log.clear()
        self.log.extend(log)
        self.sequence = sequence

    def put(self, put: Put) -> tuple[OutcomeKind, Change | None]:
        record = put.record
        known, state = self.agents.get(record.id, (None, State.GONE))
        owner = self._owners.get(record.name, record.owner)
        if owner != record.owner and not (known is not None and put.proved):
            return "foreign", None
        if known is None:
            if len(self.agents) >= self.limits.max_agents:
                return "full", None
        elif known.secret == record.secret and known.digest == record.digest and state is State.HEALTHY:
            self._heard[record.id] = self._clock()
            return "same", None
        elif known.secret != record.secret and not put.proved and state is not State.GONE:
            return "taken", None
        self._heard[record.id] = self._clock()
        kind: ChangeKind = "registered" if known is None or state is State.GONE else "changed"
        return kind, self._note(kind, record.id, record)

    def remove(self, agent: str) -> Change | None:
        return self._note("deregistered", agent) if agent in self.agents else None

    def beat(self, ids: Sequence[str]) -> None:
        now = self._clock()
        for agent in ids:
            if agent in self.agents:
                self._heard[agent] = now

    def move(self, move: Move) -> Change | None:
        _, state = self.agents.get(move.id, (None, None))
        if state is None or (move.kind != "recovered" and self._clock() - self._heard[move.id] < move.silent):
            return None
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

    @asynccontextmanager
    async def follow(self, after: str | None) -> AsyncGenerator[AsyncIterator[News]]:
        queue: asyncio.Queue[News | None] = asyncio.Queue()
        missed = self._after(after)
        if missed is None:
            queue.put_nowait(Snapshot(self.position, list(self.agents.values()), list(self.log)))
        for change in missed or ():
            queue.put_nowait(change)
        self._followers.append(queue)
        try:
            yield _drain(queue)
        finally:
            self._followers.remove(queue)

    def end(self) -> None:
        """Nothing follows any more."""
        for queue in self._followers:
            queue.put_nowait(None)

    def _after(self, position: str | None) -> list[Change] | None:
        if position is None:
            return None
        if position == self.position:
            return []
        log = list(self.log)
        places = [change.position for change in log]
        return log[places.index(position) + 1 :] if position in places else None

    def _note(self, kind: ChangeKind, agent: str, record: Record | None = None) -> Change:
        self.sequence += 1
        known = self.agents[agent][0] if agent in self.agents else None
        state = STATE_AFTER.get(kind)
        if state is None:
            self._drop(agent)
        else:
            kept = record or known
            assert kept is not None  # noqa: S101 a state belongs to an agent that is kept
            self._keep(kept, state)
        change = Change(self.position, kind, agent, record)
        self.log.append(change)
        return change

    def _keep(self, record: Record, state: State) -> None:
        known = self.agents.get(record.id)
        if known is None or known[0].owner != record.owner:
            if known is not None:
                self._disown(known[0])
            if record.owner:
                self._owned[record.name, record.owner] += 1
                self._owners[record.name] = record.owner
        self.agents[record.id] = (record, state)
        self._heard.setdefault(record.id, self._clock())

    def _drop(self, agent: str) -> None:
        self._disown(self.agents.pop(agent)[0])
        self._heard.pop(agent, None)

    def _disown(self, record: Record) -> None:
        if record.owner:
            self._owned[record.name, record.owner] -= 1
            if not self._owned[record.name, record.owner]:
                del self._owned[record.name, record.owner]
                if self._owners.get(record.name) == record.owner:
                    del self._owners[record.name]


async def _drain(queue: asyncio.Queue[News | None]) -> AsyncIterator[News]:
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
        nothing = (None, State.GONE)
        return [self._ledger.agents.get(agent, nothing)[0] for agent in ids]

    def follow(self, after: str | None) -> AbstractAsyncContextManager[AsyncIterator[News]]:
        return self._ledger.follow(after)

    async def restore(self, agents: Sequence[tuple[Record, State]]) -> None:  # noqa: ARG002 (nothing is ever lost)
        return

    @abstractmethod
    async def _change(self, work: Callable[[], list[Change]]) -> None:
        """Change the ledger by what `work` does, then tell those who follow."""

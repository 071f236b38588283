"""Agents kept in this process: what runs when neither Redis nor a folder is configured. Nothing outlives it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager

from app.mesh.model import Record, State
from app.mesh.store import MeshLimits, Move, News, OutcomeKind, Put
from app.mesh.stores._ledger import Ledger


class MemoryAgents:
    """An `AgentStore` in this process."""

    shared = False

    def __init__(self, limits: MeshLimits | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = Ledger(limits or MeshLimits(), clock=clock)

    async def start(self) -> None:
        return

    async def put(self, puts: Sequence[Put]) -> list[OutcomeKind]:
        made = [self._ledger.put(put) for put in puts]
        self._ledger.tell(change for _, change in made if change is not None)
        return [outcome for outcome, _ in made]

    async def remove(self, ids: Sequence[str]) -> None:
        self._ledger.tell(change for agent in ids if (change := self._ledger.remove(agent)) is not None)

    async def beat(self, ids: Sequence[str], stretch: float) -> None:  # noqa: ARG002 (nobody else listens)
        self._ledger.beat(ids)

    async def expire(self, moves: Sequence[Move]) -> None:
        self._ledger.tell(change for move in moves if (change := self._ledger.move(move)) is not None)

    async def find(self, ids: Sequence[str]) -> list[Record | None]:
        nothing = (None, State.GONE)
        return [self._ledger.agents.get(agent, nothing)[0] for agent in ids]

    def follow(self, after: str | None) -> AbstractAsyncContextManager[AsyncIterator[News]]:
        return self._ledger.follow(after)

    async def restore(self, agents: Sequence[tuple[Record, State]]) -> None:  # noqa: ARG002 (nothing is ever lost)
        return

    async def ping(self) -> None:
        return

    async def close(self) -> None:
        self._ledger.end()

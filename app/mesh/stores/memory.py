"""Agents kept in this process: what runs when neither Redis nor a folder is configured. Nothing outlives it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from app.mesh.store import Change, MeshLimits
from app.mesh.stores._ledger import Followed, LedgerAgents


class MemoryAgents(LedgerAgents):
    """An `AgentStore` in this process."""

    def __init__(self, limits: MeshLimits | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(limits, clock=clock)
        self._log: deque[Change] = deque(maxlen=self._ledger.limits.max_log)

    async def ping(self) -> None:
        return

    async def close(self) -> None:
        self._ledger.end()

    async def _enter(self, after: str | None) -> Followed:
        return self._ledger.enter(after, list(self._log))

    async def _change(self, work: Callable[[], list[Change]]) -> None:
        changes = work()
        self._log.extend(changes)
        self._ledger.tell(changes)

"""Agents kept in this process: what runs when neither Redis nor a folder is configured. Nothing outlives it."""

from __future__ import annotations

from collections.abc import Callable

from app.mesh.store import Change
from app.mesh.stores._ledger import LedgerAgents


class MemoryAgents(LedgerAgents):
    """An `AgentStore` in this process."""

    async def ping(self) -> None:
        return

    async def close(self) -> None:
        self._ledger.end()

    async def _change(self, work: Callable[[], list[Change]]) -> None:
        self._ledger.tell(work())

"""Where the registry keeps agents: memory, SQLite and Redis pass one contract test.

A store decides who may have a name and what state an agent is in, and writes down each change once, in one order. Every
registry replica follows these changes and answers from its own copy of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

from app.mesh.model import Record, State

OutcomeKind = Literal["registered", "changed", "same", "taken", "foreign", "full"]
MoveKind = Literal["degraded", "recovered", "gone", "forgotten"]
ChangeKind = Literal["registered", "changed", "degraded", "recovered", "gone", "deregistered", "forgotten"]
STATE_AFTER = {
    "registered": State.HEALTHY,
    "changed": State.HEALTHY,
    "recovered": State.HEALTHY,
    "degraded": State.DEGRADED,
    "gone": State.GONE,
}
"""The state that an agent is in after a change; the others end it."""


class StoreUnavailable(Exception):
    """The store cannot be reached now: the same may be tried again after `retry_after` seconds."""

    retry_after: int = 2


@dataclass(frozen=True, slots=True)
class Put:
    """A registration to keep. `proved`: the caller has shown that the agent is its own, other than by its token."""

    record: Record
    proved: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """An agent's change of state, proposed by a replica that has not heard it for `silent` seconds.

    The store agrees only when no replica has heard it for so long, by the store's own clock.
    """

    id: str
    kind: MoveKind
    silent: float = 0.0


class Change(msgspec.Struct, frozen=True, gc=False):
    """What happened to an agent. `record` is there when it told something new of itself."""

    position: str
    """Its place among all changes; the same on every replica."""
    kind: ChangeKind
    id: str
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything, as it is at `position`; `log` are the latest changes before it, oldest first."""

    position: str
    agents: list[tuple[Record, State]]
    log: list[Change]


@dataclass(frozen=True, slots=True)
class Pulse:
    """Agents that other replicas have heard; `stretch` is by how much those prolonged their intervals."""

    ids: list[str]
    stretch: float


News = Snapshot | Change | Pulse


@dataclass(frozen=True, slots=True, kw_only=True)
class MeshLimits:
    """The bounds of a store."""

    max_agents: int = 100_000
    max_log: int = 10_000
    """Changes that are kept for those who come back."""


class AgentStore(Protocol):
    """What the registry asks of a store.

    Every method that reaches out raises `StoreUnavailable` soon instead of hanging, and works again by itself when the
    store is back.
    """

    @property
    def shared(self) -> bool:
        """Whether it is somewhere else, and may be away while this process runs."""
        ...

    async def start(self) -> None:
        """Open what is here. What is elsewhere may be away: that is no reason not to start."""
        ...

    async def put(self, puts: Sequence[Put]) -> list[OutcomeKind]:
        """Keep registrations, all or those that may be kept; one outcome for each.

        `taken`: another token holds the same name and replica. `foreign`: the name belongs to another subject.
        `full`: as many agents are kept as may be. An agent that is put is healthy.
        """
        ...

    async def remove(self, ids: Sequence[str]) -> None:
        """Agents that have left by themselves. An id that is not known is left out."""
        ...

    async def beat(self, ids: Sequence[str], stretch: float) -> None:
        """Agents that were heard since the last call, once for many heartbeats."""
        ...

    async def expire(self, moves: Sequence[Move]) -> None:
        """Change the states of agents where the store agrees; those who follow are told."""
        ...

    async def find(self, ids: Sequence[str]) -> list[Record | None]:
        """Records by their ids, as the store has them now."""
        ...

    def follow(self, after: str | None) -> AbstractAsyncContextManager[AsyncIterator[News]]:
        """What has changed after a position, then what changes; a `Snapshot` first where that is not known any more.

        Raises `StoreUnavailable` when the store goes away: follow again with the last position.
        """
        ...

    async def restore(self, agents: Sequence[tuple[Record, State]]) -> None:
        """Give back what a store has lost; what it has is left as it is."""
        ...

    async def ping(self) -> None:
        """Return when the store answers, raise `StoreUnavailable` when it does not."""
        ...

    async def close(self) -> None:
        """Let go of connections, files and tasks."""
        ...

"""Work that is finished once it was begun, whatever becomes of the one who asked for it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from app.gateway.manager.audit import audit
from app.sessions.tasks import stop

Value = TypeVar("Value")


class Finishing:
    """The tasks of one manager."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def begin(self, work: Coroutine[Any, Any, Value], name: str) -> asyncio.Task[Value]:
        """Work that nobody need wait for."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def to_the_end(self, work: Coroutine[Any, Any, Value], what: str, server: str, by: str) -> Value:
        """What the work returns, told in the audit log. Whoever waits may be cancelled: the work is not."""

        async def audited() -> Value:
            with audit(what, server, by):
                return await work

        task = self.begin(audited(), f"{what} {server}")
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_seen)
            raise

    async def close(self) -> None:
        """Break off what still runs."""
        await stop(self._tasks)


def _seen(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # nobody waits for it any more; the audit log has it

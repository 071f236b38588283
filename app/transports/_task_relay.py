"""Tasks that any replica shows, feeds and cancels, whichever runs them; what ended outlives the one that ran it."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from app.protocol.changes import Change
from app.protocol.errors import UNAVAILABLE, ProtocolError
from app.protocol.messages import ErrorObject
from app.protocol.task_shapes import ENDED, TaskHandle, TaskResult
from app.protocol.tasks import TASK_TTL, Task, TaskBoard
from app.sessions.store import SessionStore, StoreUnavailable
from app.sessions.tasks import stop

logger = logging.getLogger("slipway.tasks")

LEASE = 30.0
"""Seconds for which a replica that is not heard of is still taken to run its tasks."""

_PATIENCE = 2.0
_RETRY_DELAY = 0.5


class _Snapshot(msgspec.Struct, array_like=True):
    owner: str
    replica: str
    shown: TaskResult


class _Letter(msgspec.Struct, array_like=True):
    """What is asked of the replica that runs a task: to take answers, or (without any) to cancel it."""

    task_id: str
    answers: dict[str, dict[str, Any]] | None = None


_encode = msgspec.json.Encoder().encode
_decode_snapshot = msgspec.json.Decoder(_Snapshot).decode
_decode_letter = msgspec.json.Decoder(_Letter).decode


class TaskRelay:
    """One a process, between its tasks and those of the other replicas."""

    def __init__(self, board: TaskBoard, store: SessionStore, *, lease: float = LEASE) -> None:
        self._board = board
        self._store = store
        self._lease = lease
        self._replica = secrets.token_hex(8)
        self._workers: list[asyncio.Task[None]] = []
        board.elsewhere = self

    async def start(self) -> None:
        """Begin to take what other replicas ask."""
        self._workers = [
            asyncio.create_task(self._listen(), name="task letters"),
            asyncio.create_task(self._renew(), name="task lease"),
        ]

    async def close(self) -> None:
        """Take nothing more."""
        await stop(self._workers)

    async def note(self, task: Task) -> None:
        """Put the task where every replica finds it."""
        snapshot = _encode(_Snapshot(task.owner, self._replica, task.shown(whole=True)))
        try:
            if task.created == task.updated:
                await self._store.keep(self._lease_key(self._replica), b"1", self._lease)
            await self._store.keep(_key(task.id), snapshot, TASK_TTL)
        except StoreUnavailable:
            if task.created == task.updated:
                raise ProtocolError(UNAVAILABLE, "Tasks cannot be kept for the moment: call again soon.") from None
            logger.warning("the store is away: only this replica knows that a task is %s", task.status)

    async def find(self, task_id: str) -> TaskHandle | None:
        """A task of any replica's, as it was last noted."""
        try:
            found = await self._store.kept(_key(task_id))
            if found is None:
                return None
            snapshot = _decode_snapshot(found)
            if snapshot.shown.status not in ENDED and not await self._runs(snapshot.replica):
                _abandon(snapshot.shown)
        except StoreUnavailable:
            raise ProtocolError(UNAVAILABLE, "Tasks cannot be looked up for the moment: ask again soon.") from None
        return _Distant(self, snapshot)

    async def ask(self, replica: str, letter: _Letter) -> None:
        """Send a letter to the replica that runs a task, and wait a while for the task to change."""
        changed = _Changed(letter.task_id)
        with self._board.changes.listen(changed), suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self._store.publish(f"tasks.{replica}", _encode(letter))
                await changed.happened.wait()

    async def _runs(self, replica: str) -> bool:
        return replica == self._replica or await self._store.kept(self._lease_key(replica)) is not None

    async def _listen(self) -> None:
        while True:
            with suppress(StoreUnavailable):
                async with self._store.follow(f"tasks.{self._replica}") as letters:
                    async for letter in letters:
                        await self._take(_decode_letter(letter))
            await asyncio.sleep(_RETRY_DELAY)

    async def _take(self, letter: _Letter) -> None:
        task = self._board.local(letter.task_id)
        if task is None:
            return
        if letter.answers is None:
            await task.cancel()
        else:
            await task.answer(letter.answers)
        await self._board.tell(task)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self._lease / 3)
            running = self._board.running
            if not running:
                continue
            with suppress(StoreUnavailable):
                await self._store.keep(self._lease_key(self._replica), b"1", self._lease)
                for task in running:
                    await self.note(task)

    @staticmethod
    def _lease_key(replica: str) -> str:
        return f"task-lease:{replica}"


class _Distant:
    """A `TaskHandle` of a task that another replica runs, or ran."""

    def __init__(self, relay: TaskRelay, snapshot: _Snapshot) -> None:
        self._relay = relay
        self._snapshot = snapshot

    @property
    def owner(self) -> str:
        return self._snapshot.owner

    def shown(self, *, whole: bool) -> TaskResult:
        shown = self._snapshot.shown
        shown.result_type = "complete" if whole else "task"
        return shown

    async def answer(self, responses: Mapping[str, dict[str, Any]]) -> None:
        await self._send(_Letter(self._snapshot.shown.task_id, dict(responses)))

    async def cancel(self) -> None:
        await self._send(_Letter(self._snapshot.shown.task_id))

    async def _send(self, letter: _Letter) -> None:
        if self._snapshot.shown.status in ENDED:
            return
        try:
            await self._relay.ask(self._snapshot.replica, letter)
        except StoreUnavailable:
            raise ProtocolError(UNAVAILABLE, "Tasks cannot be reached for the moment: ask again soon.") from None


class _Changed:
    """Listens for one task to change."""

    def __init__(self, task_id: str) -> None:
        self.happened = asyncio.Event()
        self._task_id = task_id

    def put(self, change: Change) -> None:
        if change.kind == "task" and change.uri == self._task_id:
            self.happened.set()

    def end(self) -> None:
        self.happened.set()


def _abandon(shown: TaskResult) -> None:
    """Show a task that nobody runs any more as what it is."""
    shown.status = "failed"
    shown.input_requests = msgspec.UNSET
    shown.error = ErrorObject(UNAVAILABLE, "The server that ran this task is gone: call the tool again.")


def _key(task_id: str) -> str:
    return f"task:{task_id}"

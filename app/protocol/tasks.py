"""The tasks extension: calls that go on after their request was answered, to be polled, fed and cancelled."""

import asyncio
import logging
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from app.protocol.calls import Caller
from app.protocol.changes import Change, Changes
from app.protocol.content import Result, ToolResult
from app.protocol.context import CallContext, InputRequest
from app.protocol.errors import INTERNAL_ERROR, INVALID_PARAMS, LIMIT_REACHED, ProtocolError
from app.protocol.handlers import Tool
from app.protocol.messages import ErrorObject

Status = Literal["working", "input_required", "completed", "failed", "cancelled"]
TASK_TTL = 3600.0
POLL_INTERVAL_MS = 500
MAX_TASKS = 10_000
_ENDED = ("completed", "failed", "cancelled")
logger = logging.getLogger("slipway.protocol")


class TaskResult(Result, kw_only=True):
    """A task as the client sees it; the last three members only in answer to `tasks/get`."""

    task_id: str
    status: Status
    created_at: str
    last_updated_at: str
    ttl_ms: int
    poll_interval_ms: int = msgspec.field(default_factory=lambda: POLL_INTERVAL_MS)
    status_message: str | UnsetType = UNSET
    input_requests: Mapping[str, InputRequest] | UnsetType = UNSET
    result: ToolResult | UnsetType = UNSET
    error: ErrorObject | UnsetType = UNSET


class Task:
    """One call that outlives its request."""

    def __init__(self, owner: Caller, changes: Changes) -> None:
        self.id = secrets.token_urlsafe(18)
        self.owner = owner
        self.status: Status = "working"
        self.message: str | None = None
        self.asked: dict[str, InputRequest] = {}
        self.result: ToolResult | None = None
        self.error: ErrorObject | None = None
        self.created = self.updated = datetime.now(UTC)
        self.runner: asyncio.Task[ToolResult] | None = None
        self._changes = changes
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._numbers = 0

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in _ENDED

    def shown(self, *, whole: bool) -> TaskResult:
        """The task as the client sees it."""
        shown = TaskResult(
            result_type="complete" if whole else "task",
            task_id=self.id,
            status=self.status,
            created_at=_stamp(self.created),
            last_updated_at=_stamp(self.updated),
            ttl_ms=int(TASK_TTL * 1000),
            status_message=UNSET if self.message is None else self.message,
        )
        if whole:
            shown.input_requests = self.asked.copy() or UNSET
            shown.result = UNSET if self.result is None else self.result
            shown.error = UNSET if self.error is None else self.error
        return shown

    async def move(self, status: Status) -> None:
        """Note a new status and tell those who listen."""
        self.status = status
        self.updated = datetime.now(UTC)
        await self._changes.announce(Change("task", self.id, msgspec.json.encode(self.shown(whole=True))))

    async def ask(self, requests: Mapping[str, InputRequest]) -> dict[str, Any]:
        """Put questions to the client and wait until all are answered."""
        keys: dict[str, str] = {}
        for key, request in requests.items():
            self._numbers += 1
            keys[key] = minted = f"{self._numbers}.{key}"
            self.asked[minted] = request
            self._waiting[minted] = asyncio.get_running_loop().create_future()
        await self.move("input_required")
        return {key: await self._waiting[minted] for key, minted in keys.items()}

    async def answer(self, responses: Mapping[str, dict[str, Any]]) -> None:
        """Take the client's answers; what was not asked is ignored."""
        for key, response in responses.items():
            future = self._waiting.get(key)
            if future is not None and not future.done():
                future.set_result(response)
                self.asked.pop(key, None)
        if self.status == "input_required" and not self.asked:
            await self.move("working")


class TaskContext(CallContext):
    """The surroundings of a call that became a task: what it asks waits in the task."""

    __slots__ = ("task",)

    def adopt(self, origin: CallContext, task: Task | None) -> None:
        """Take over what earlier rounds gathered."""
        self.restore(origin.answers, origin.state)
        self.task = task

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Once a task, only the message is kept: the request that progress belonged to was answered."""
        if self.task is None:
            await super().progress(progress, total, message)
        elif message is not None:
            self.task.message = message

    async def log(self, level: str, data: object, logger: str | None = None) -> None:
        """Once a task, nowhere to send to."""
        if self.task is None:
            await super().log(level, data, logger)

    async def ask(self, requests: Mapping[str, InputRequest], *, timeout: float | None = None) -> dict[str, Any]:
        """Once a task, the client finds the questions by `tasks/get` and answers by `tasks/update`."""
        if self.task is None:
            return await super().ask(requests, timeout=timeout)
        for request in requests.values():
            self.require(request)
        missing = {key: request for key, request in requests.items() if key not in self.answers}
        if missing:
            async with asyncio.timeout(timeout):
                self.answers.update(await self.task.ask(missing))
        return {key: self.answers[key] for key in requests}


class TaskBoard:
    """The tasks of one process."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._tasks: dict[str, Task] = {}

    async def run(self, tool: Tool, arguments: Raw | None, origin: CallContext) -> ToolResult | TaskResult:
        """Call the tool; the task, as soon as the call is one, or the result if it never becomes one."""
        from app.protocol.methods.tools import run_tool

        context = TaskContext(origin.call, origin.meta)
        context.adopt(origin, None)
        detached: asyncio.Future[Task] = asyncio.get_running_loop().create_future()

        async def detach() -> None:
            if context.task is None:
                context.task = self._open(origin.caller)
                detached.set_result(context.task)

        context.on_detach(detach)
        if not tool.asks_first:
            await detach()
        runner = asyncio.create_task(run_tool(tool, arguments, context), name=f"tool {tool.definition.name}")
        try:
            await asyncio.wait({runner, detached}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            if context.task is None:
                runner.cancel()
            raise
        finally:
            origin.restore(context.answers, context.state)
        if context.task is None:
            return await runner
        task = context.task
        task.runner = runner
        shown = task.shown(whole=False)
        runner.add_done_callback(lambda done: self._settle(task, done))
        return shown

    def find(self, task_id: str, caller: Caller) -> Task:
        """The caller's task; raises `ProtocolError` for any other."""
        task = self._tasks.get(task_id)
        if task is None or task.owner.subject != caller.subject:
            raise ProtocolError(INVALID_PARAMS, f"There is no task '{task_id[:64]}': it never was, or it has expired.")
        return task

    async def cancel(self, task: Task) -> None:
        """Cancel the task; one that ended stays as it is."""
        if not task.ended:
            await task.move("cancelled")
            if task.runner is not None:
                task.runner.cancel()

    async def close(self) -> None:
        """Cancel what still runs: the server ends."""
        running = [task.runner for task in self._tasks.values() if task.runner is not None and not task.runner.done()]
        for runner in running:
            runner.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _open(self, owner: Caller) -> Task:
        if len(self._tasks) >= MAX_TASKS:
            raise ProtocolError(LIMIT_REACHED, f"{MAX_TASKS} tasks are kept: try again later.")
        task = Task(owner, self._changes)
        self._tasks[task.id] = task
        return task

    def _settle(self, task: Task, runner: asyncio.Task[ToolResult]) -> None:
        asyncio.get_running_loop().call_later(TASK_TTL, self._tasks.pop, task.id, None)
        task.asked.clear()
        if task.ended:
            if not runner.cancelled():
                runner.exception()
            return
        status: Status = "completed"
        if runner.cancelled():
            status = "cancelled"
        elif (error := runner.exception()) is not None:
            status = "failed"
            if isinstance(error, ProtocolError):
                task.error = ErrorObject(error.code, error.message, error.data)
            else:
                logger.error("task %s failed", task.id, exc_info=error)
                task.error = ErrorObject(INTERNAL_ERROR, "The task failed unexpectedly.")
        else:
            task.result = runner.result()
        self._announcing = asyncio.ensure_future(task.move(status))


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

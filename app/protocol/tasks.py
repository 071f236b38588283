"""The tasks extension: calls that go on after their request was answered, to be polled, fed and cancelled."""

import asyncio
import logging
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
from msgspec import UNSET, Raw

from app.protocol.calls import Caller
from app.protocol.changes import Change, Changes
from app.protocol.content import ToolResult
from app.protocol.context import CallContext, InputRequest
from app.protocol.errors import INTERNAL_ERROR, INVALID_PARAMS, LIMIT_REACHED, UNAVAILABLE, ProtocolError
from app.protocol.handlers import Tool
from app.protocol.messages import ErrorObject
from app.protocol.task_shapes import ENDED, Status, TaskHandle, TaskResult

TASK_TTL = 3600.0
MAX_TASKS = 10_000
logger = logging.getLogger("slipway.protocol")


class Elsewhere(Protocol):
    """The tasks of the other replicas."""

    async def note(self, task: "Task") -> None:
        """Let the others see how the task is now; raises `ProtocolError` where they could not be let see a new one."""
        ...

    async def find(self, task_id: str) -> TaskHandle | None:
        """A task that another replica runs, or ran."""
        ...


class Task:
    """One call that outlives its request."""

    def __init__(self, owner: str, board: "TaskBoard") -> None:
        self.id = secrets.token_urlsafe(18)
        self.owner = owner
        self.status: Status = "working"
        self.message: str | None = None
        self.asked: dict[str, InputRequest] = {}
        self.result: ToolResult | None = None
        self.error: ErrorObject | None = None
        self.created = self.updated = datetime.now(UTC)
        self.runner: asyncio.Task[ToolResult | Raw] | None = None
        self._board = board
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._numbers = 0

    @property
    def ended(self) -> bool:
        """Whether nothing will change any more."""
        return self.status in ENDED

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
        await self._board.tell(self)

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
        asked = len(self.asked)
        for key, response in responses.items():
            future = self._waiting.get(key)
            if future is not None and not future.done():
                future.set_result(response)
                self.asked.pop(key, None)
        if self.status == "input_required" and len(self.asked) < asked:
            await self.move("input_required" if self.asked else "working")

    async def cancel(self) -> None:
        """Stop the work; a task that ended stays as it is."""
        if not self.ended:
            await self.move("cancelled")
            if self.runner is not None:
                self.runner.cancel()


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
    """The tasks of one process; `elsewhere`, where set, shares them with the other replicas."""

    def __init__(self, changes: Changes) -> None:
        self.changes = changes
        self.elsewhere: Elsewhere | None = None
        self._tasks: dict[str, Task] = {}
        self._moving: set[asyncio.Future[None]] = set()
        self._closing = False

    @property
    def running(self) -> list[Task]:
        """The tasks whose work goes on here."""
        return [task for task in self._tasks.values() if not task.ended]

    async def run(self, tool: Tool, arguments: Raw | None, origin: CallContext) -> ToolResult | Raw | TaskResult:
        """Call the tool; the task, as soon as the call is one, or the result if it never becomes one."""
        from app.protocol.methods.tools import run_tool

        context = TaskContext(origin.call, origin.meta)
        context.adopt(origin, None)
        detached: asyncio.Future[Task] = asyncio.get_running_loop().create_future()

        async def detach() -> None:
            if context.task is None:
                context.task = await self._open(origin.caller)
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

    def local(self, task_id: str) -> Task | None:
        """The task, if it is this process's."""
        return self._tasks.get(task_id)

    async def find(self, task_id: str, caller: Caller) -> TaskHandle:
        """The caller's task; raises `ProtocolError` for any other."""
        task: TaskHandle | None = self._tasks.get(task_id)
        if task is None and self.elsewhere is not None:
            task = await self.elsewhere.find(task_id)
        if task is None or task.owner != caller.subject:
            raise ProtocolError(INVALID_PARAMS, f"There is no task '{task_id[:64]}': it never was, or it has expired.")
        return task

    async def tell(self, task: Task) -> None:
        """Let the other replicas, and everyone who listens, know how the task is now."""
        if self.elsewhere is not None:
            await self.elsewhere.note(task)
        await self.changes.announce(Change("task", task.id, msgspec.json.encode(task.shown(whole=True))))

    async def close(self) -> None:
        """End what still runs: the server ends."""
        self._closing = True
        running = [task.runner for task in self._tasks.values() if task.runner is not None and not task.runner.done()]
        for runner in running:
            runner.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await asyncio.gather(*self._moving, return_exceptions=True)

    async def _open(self, owner: Caller) -> Task:
        if len(self._tasks) >= MAX_TASKS:
            raise ProtocolError(LIMIT_REACHED, f"{MAX_TASKS} tasks are kept: try again later.")
        task = Task(owner.subject, self)
        self._tasks[task.id] = task
        if self.elsewhere is not None:
            try:
                await self.elsewhere.note(task)
            except BaseException:
                del self._tasks[task.id]
                raise
        return task

    def _settle(self, task: Task, runner: asyncio.Task[ToolResult | Raw]) -> None:
        asyncio.get_running_loop().call_later(TASK_TTL, self._tasks.pop, task.id, None)
        task.asked.clear()
        if task.ended:
            if not runner.cancelled():
                runner.exception()
            return
        status: Status = "completed"
        if runner.cancelled() and self._closing:
            status = "failed"
            task.error = ErrorObject(UNAVAILABLE, "The server ended before the task did: call the tool again.")
        elif runner.cancelled():
            status = "cancelled"
        elif (error := runner.exception()) is not None:
            status = "failed"
            if isinstance(error, ProtocolError):
                task.error = ErrorObject(error.code, error.message, error.data)
            else:
                logger.error("task %s failed", task.id, exc_info=error)
                task.error = ErrorObject(INTERNAL_ERROR, "The task failed unexpectedly.")
        else:
            result = runner.result()
            task.result = msgspec.json.decode(result, type=ToolResult) if isinstance(result, Raw) else result
        moving = asyncio.ensure_future(task.move(status))
        self._moving.add(moving)
        moving.add_done_callback(self._moving.discard)


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""The tasks extension: `tasks/get`, `tasks/update` and `tasks/cancel`."""

import msgspec

from app.protocol.calls import Call
from app.protocol.content import Result
from app.protocol.extensions import TASKS, declares, lacking
from app.protocol.methods._method import Method, method
from app.protocol.params import Params, TaskParams, UpdateTaskParams
from app.protocol.services import Services
from app.protocol.tasks import TaskBoard, TaskHandle

_decode_capabilities = msgspec.json.Decoder(dict[str, object]).decode


class Tasks:
    """Looking after calls that became tasks."""

    def __init__(self, services: Services, board: TaskBoard) -> None:
        self._services = services
        self._board = board

    def methods(self) -> list[Method]:
        """The methods of this group."""
        return [
            method("tasks/get", TaskParams, self._get, handshake=False),
            method("tasks/update", UpdateTaskParams, self._update, handshake=False),
            method("tasks/cancel", TaskParams, self._cancel, handshake=False),
        ]

    async def _get(self, call: Call, params: TaskParams) -> object:
        return self._services.finish((await self._find(call, params)).shown(whole=True), call.revision)

    async def _update(self, call: Call, params: UpdateTaskParams) -> object:
        await (await self._find(call, params)).answer(params.input_responses)
        return self._services.finish(Result(), call.revision)

    async def _cancel(self, call: Call, params: TaskParams) -> object:
        await (await self._find(call, params)).cancel()
        return self._services.finish(Result(), call.revision)

    async def _find(self, call: Call, params: TaskParams) -> TaskHandle:
        _require_extension(call.method, params)
        return await self._board.find(params.task_id, call.caller)


def _require_extension(name: str, params: Params) -> None:
    meta = params.meta
    if meta is msgspec.UNSET or meta.capabilities is msgspec.UNSET:
        raise lacking(TASKS, f"'{name}'")
    if not declares(_decode_capabilities(meta.capabilities), TASKS):
        raise lacking(TASKS, f"'{name}'")

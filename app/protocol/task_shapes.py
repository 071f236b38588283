"""A task as its client sees it."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec
from msgspec import UNSET, UnsetType

from app.protocol.content import Result, ToolResult
from app.protocol.context import InputRequest
from app.protocol.messages import ErrorObject

Status = Literal["working", "input_required", "completed", "failed", "cancelled"]
ENDED = ("completed", "failed", "cancelled")
POLL_INTERVAL_MS = 500


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


class TaskHandle(Protocol):
    """A task as its client deals with it, wherever it runs."""

    @property
    def owner(self) -> str:
        """The subject of the caller whose task it is."""
        ...

    def shown(self, *, whole: bool) -> TaskResult:
        """The task as the client sees it."""
        ...

    async def answer(self, responses: Mapping[str, dict[str, Any]]) -> None:
        """Take the client's answers; what was not asked is ignored."""
        ...

    async def cancel(self) -> None:
        """Stop the work, if it still goes on."""
        ...

"""A server as it is wanted and as it is now, and what can be wrong with a wish."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from app.gateway.spec import LaunchSpec, ServerSpec

Phase = Literal["pending", "resolving", "starting", "initializing", "ready", "degraded", "failed", "stopping"]
PHASES: tuple[Phase, ...] = (
    "pending",
    "resolving",
    "starting",
    "initializing",
    "ready",
    "degraded",
    "failed",
    "stopping",
)
SETTLED = frozenset[Phase]({"ready", "degraded", "failed"})
Source = Literal["declared", "started"]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """One server that shall run, as it is kept in the store. It may hold secrets: it is never shown as it is."""

    id: str
    name: str
    spec: ServerSpec
    source: Source = "started"
    """Whether it stands in the configuration file, or somebody started it."""
    by: str = "anonymous"
    created: float = 0.0
    expires: float | None = None
    instance: str = ""
    """What the launcher knows it by: its id, or another name while it takes the place of the one with that id."""
    launch: LaunchSpec | None = None
    """What it was resolved to: a restart starts the same, whatever has been published since."""
    policy: str = ""
    """The digest of the rules that it was resolved under."""


class ServerInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a server says of itself."""

    name: str
    version: str
    revision: str


class ServerStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One server as it is now; nothing in it is secret."""

    id: str
    name: str
    phase: Phase
    reason: str = ""
    """Why it is not simply ready."""
    tools: int = 0
    prompts: int = 0
    resources: int = 0
    stale: bool = False
    problems: list[str] = []
    spec: dict[str, object] = {}
    package: str | None = None
    """The pinned package, as `name@version`."""
    source: Source = "started"
    by: str = "anonymous"
    created: float = 0.0
    expires: float | None = None
    seconds_to_ready: float | None = None
    restarts: int = 0
    owner: str | None = None
    """The replica that runs it, where there are several."""
    server: ServerInfo | None = None
    revision: int = 0
    """Grows with every change of this status."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a wish: where, what, and what would be right."""

    field: str
    value: str
    remedy: str

    def __str__(self) -> str:
        return " ".join(part for part in (f"{self.field}:", self.value, self.remedy) if part)


class ManagerError(Exception):
    """Why something asked of the manager was not done."""


class UnknownServer(ManagerError):
    """There is no server of that id."""

    def __init__(self, server_id: str) -> None:
        super().__init__(f"there is no server {server_id[:100]!r}: list the servers to see which there are")
        self.server_id = server_id


class Refused(ManagerError):
    """What was asked for cannot be right; `problems` has every reason."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class Conflict(ManagerError):
    """It contradicts what there is; `differences` says in what."""

    def __init__(self, message: str, differences: Sequence[Problem] = ()) -> None:
        super().__init__("; ".join((message, *(str(difference) for difference in differences))))
        self.message = message
        self.differences = tuple(differences)

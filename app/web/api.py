"""The small REST part beside the protocol: what runs, what it serves, and what goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.protocol.content import ToolDefinition
from app.protocol.handlers import Registry
from app.protocol.revisions import REVISIONS
from app.telemetry.activity import Activity


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the page tells about the running program."""

    service: str
    version: str
    toolsets: Sequence[str]
    stores: dict[str, str]
    wants_token: bool
    activity: Activity = field(default_factory=Activity)
    has_servers: bool = False
    """Whether it is a gateway, whose servers are at /servers."""

    @property
    def has_map(self) -> bool:
        """Whether there are maps to show."""
        return "map" in self.toolsets


class Status(BaseModel):
    """What runs."""

    service: str = Field(examples=["slipway"])
    version: str
    tools: int = Field(description="How many tools are served")
    toolsets: list[str]
    stores: dict[str, str] = Field(description="What is kept where", examples=[{"sessions": "redis"}])
    revisions: list[str] = Field(description="The protocol revisions that are spoken, the oldest first")


class LiveSession(BaseModel):
    """One session of the older era that this replica answered lately."""

    client: str
    revision: str
    calls: int
    idle: float = Field(description="Seconds since its last call")


class LiveCall(BaseModel):
    """One call that was answered."""

    what: str = Field(description="The tool, or else the method", examples=["add_marker", "tools/list"])
    client: str
    failed: bool
    milliseconds: float
    ago: float = Field(description="Seconds since it was answered")


class Live(BaseModel):
    """What goes on now."""

    running: int = Field(description="Calls being answered now")
    sessions: list[LiveSession]
    calls: list[LiveCall] = Field(description="The latest calls, the newest first")


class ToolSummary(BaseModel):
    """One tool, shortly; `tools/list` of the protocol says all."""

    name: str
    description: str


def api_router(registry: Registry, about: About) -> APIRouter:
    """The routes under `/api`."""
    router = APIRouter(prefix="/api")

    @router.get("/status", summary="What runs")
    async def status() -> Status:
        return Status(
            service=about.service,
            version=about.version,
            tools=len(registry.tools()),
            toolsets=list(about.toolsets),
            stores=about.stores,
            revisions=list(REVISIONS),
        )

    @router.get("/tools", summary="The tools served, shortly")
    async def tools() -> list[ToolSummary]:
        return [ToolSummary(name=tool.name, description=_text(tool.description)) for tool in definitions(registry)]

    @router.get("/live", summary="Who is connected to this replica, and what was called last")
    async def live() -> Live:
        return Live.model_validate(about.activity.now(), from_attributes=True)

    return router


def definitions(registry: Registry) -> list[ToolDefinition]:
    """What all tools show of themselves."""
    return [tool.definition for tool in registry.tools()]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""

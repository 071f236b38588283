"""Tools about the server itself: what runs, does it answer, does it report and stop when told."""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec
from msgspec import Meta

from app.toolsets import CallContext, Offer, ToolAnnotations, ToolsetRegistry, tool

_TELLS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
MAX_WAIT = 60


class ServerInfo(msgspec.Struct, rename="camel"):
    """What runs here."""

    name: str
    version: str
    uptime_seconds: float
    transports: list[str]
    stores: dict[str, str]
    tools: int


class Waited(msgspec.Struct):
    """How long it took."""

    seconds: float


@tool(title="Echo", annotations=_TELLS)
async def echo(text: Annotated[str, Meta(description="What to say back", max_length=100_000)]) -> str:
    """Return the text unchanged: the quickest way to see that a server answers."""
    return text


@tool(title="Wait", annotations=_TELLS, timeout=MAX_WAIT + 10)
async def wait(
    seconds: Annotated[float, Meta(ge=0, le=MAX_WAIT, description="How long to wait, in seconds")],
    context: CallContext,
) -> Waited:
    """Wait, reporting progress each second: shows that progress and cancellation reach through whatever is between."""
    clock = asyncio.get_running_loop()
    began = clock.time()
    await context.progress(0, seconds)
    while (left := began + seconds - clock.time()) > 0:
        await asyncio.sleep(min(1, left))
        await context.progress(min(seconds, round(clock.time() - began, 3)), seconds)
    return Waited(round(clock.time() - began, 3))


def offers(registry: ToolsetRegistry) -> list[Offer]:
    """The tools that tell about the server that has this registry."""

    @tool(title="Server information", annotations=_TELLS)
    async def server_info() -> ServerInfo:
        """What this server is: its version, how long it has run, its transports and where it keeps its data."""
        about = registry.about
        return ServerInfo(
            name=about.name,
            version=about.version,
            uptime_seconds=round(about.uptime, 3),
            transports=list(about.transports),
            stores=about.stores,
            tools=len(registry.tools()),
        )

    return [server_info]

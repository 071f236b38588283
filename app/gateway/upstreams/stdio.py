"""A child's standard streams as a channel."""

from __future__ import annotations

import asyncio

from app.gateway.launcher import LaunchError, Lines, StdioEndpoint
from app.gateway.upstream import UpstreamUnavailable
from app.gateway.upstreams.stream_link import Lost, Take
from app.gateway.upstreams.wire import one_line


class StdioChannel:
    """Reads line after line, for as long as there are any."""

    def __init__(self, lines: Lines, take: Take, lost: Lost) -> None:
        self._lines = lines
        self._take = take
        self._lost = lost
        self._reader = asyncio.create_task(self._read(), name="read a server's lines")

    async def send(self, message: bytes) -> None:
        await self._lines.send(one_line(message))

    async def close(self) -> None:
        self._reader.cancel()
        await asyncio.wait({self._reader})
        await self._lines.close()

    async def _read(self) -> None:
        reason = "it ended"
        take = self._take
        try:
            async for line in self._lines:
                if line:
                    take(line)
        except (OSError, EOFError, ValueError) as error:
            reason = f"it can no longer be read: {error}"
        self._lost(reason)


async def connect_stdio(endpoint: StdioEndpoint, take: Take, lost: Lost) -> StdioChannel:
    """Open a server's streams; raises `UpstreamUnavailable`."""
    try:
        lines = await endpoint.open()
    except (LaunchError, OSError, EOFError) as error:
        raise UpstreamUnavailable(f"it could not be started: {error}", unsent=True) from None
    return StdioChannel(lines, take, lost)

"""External servers from Python: started, listed, called and stopped by plain dictionaries."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self, cast

import msgspec

from app.gateway._api_forms import HealthReport, ServerConfig, ServerHealth, ServerReport, read_config, report
from app.gateway.manager.model import ManagerError, Refused, ServerStatus, UnknownServer
from app.gateway.running import Gateway

_WAIT = 180.0
_LAST_LINES = 20


class ServerFailed(ManagerError):
    """A server did not come up. It is stopped again; `log` has what it wrote last."""

    def __init__(self, server_id: str, reason: str, log: Sequence[str] = ()) -> None:
        said = "".join(f"\n  {line}" for line in log)
        super().__init__(f"{server_id} did not start: {reason}" + (f"\nIts log ends with:{said}" if said else ""))
        self.server_id = server_id
        self.reason = reason
        self.log = tuple(log)


Close = Callable[[], Awaitable[None]]
MakeGateway = Callable[[], tuple[Gateway, Close]]
"""Makes a gateway on the running event loop, and says what is to be closed after it."""


class ExternalServers:
    """Runs external servers from a program of your own, as the gateway does.

    It begins with the first call. Use it as an async context manager, or `close` it: that ends local servers, and lets
    go of pods, which the next one takes up again. All calls raise `ManagerError` with what is wrong and the remedy.
    """

    def __init__(self, make: MakeGateway) -> None:
        self._make = make
        self._opening = asyncio.Lock()
        self._open: tuple[Gateway, Close] | None = None
        self.sidecar = Sidecar(self)

    async def start_external_server(
        self, config: ServerConfig | Mapping[str, Any], *, wait: float = _WAIT
    ) -> ServerReport:
        """Start a server and wait until its tools are there. The same config again changes nothing.

        Raises `Refused` for what cannot be started, `Conflict` where another server has that name, and `ServerFailed`
        for one that does not come up. With `wait=0` it returns at once, and `get_server_status` tells the rest.
        """
        name, spec, ttl, replace = read_config(config)
        manager = (await self.gateway()).manager
        status, made = await manager.start(name, spec, by="python", ttl=ttl, replace=replace)
        if wait > 0:
            status = await manager.settled(status.id, wait)
            if status.phase not in ("ready", "degraded"):
                raise await self._failed(status, wait, made=made)
        return report(status)

    async def list_external_servers(self) -> list[ServerReport]:
        """Every server, by id."""
        return [report(status) for status in (await self.gateway()).manager.list()]

    async def get_server_status(self, server_id: str) -> ServerReport:
        """One server; raises `UnknownServer`."""
        return report((await self.gateway()).manager.get(server_id))

    async def stop_external_server(self, server_id: str) -> None:
        """End a server for good, and wait until it is gone. Raises `UnknownServer`."""
        await (await self.gateway()).manager.stop(server_id, by="python")

    async def get_server_logs(self, server_id: str, lines: int = 100) -> list[str]:
        """The last lines that a server wrote to its log."""
        return [line async for line in (await self.gateway()).manager.logs(server_id, lines=lines)]

    async def list_tools(self, server_id: str) -> list[dict[str, Any]]:
        """The tools of a server, as it describes them. Raises `UpstreamUnavailable` while it is not there."""
        found = await (await self.gateway()).manager.upstream(server_id).list("tools")
        return [cast("dict[str, Any]", msgspec.json.decode(tool)) for tool in found]

    async def call_tool(
        self, server_id: str, tool: str, arguments: Mapping[str, Any] | None = None, *, timeout: float | None = None
    ) -> dict[str, Any]:
        """The result of a tool. Raises `UpstreamFailure` with the server's own error, and `UpstreamUnavailable`."""
        upstream = (await self.gateway()).manager.upstream(server_id)
        params = msgspec.Raw(msgspec.json.encode({"name": tool, "arguments": dict(arguments or {})}))
        return cast(
            "dict[str, Any]", msgspec.json.decode(await upstream.request("tools/call", params, timeout=timeout))
        )

    async def gateway(self) -> Gateway:
        """The gateway beneath, opened when it is first asked for."""
        async with self._opening:
            if self._open is None:
                gateway, close = self._make()
                try:
                    await gateway.open()
                except BaseException:
                    await close()
                    raise
                self._open = gateway, close
            return self._open[0]

    async def close(self) -> None:
        """End local servers and let go of pods. What is called afterwards begins anew."""
        async with self._opening:
            opened, self._open = self._open, None
            if opened is not None:
                gateway, close = opened
                try:
                    await gateway.close()
                finally:
                    await close()

    async def __aenter__(self) -> Self:
        await self.gateway()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _failed(self, status: ServerStatus, waited: float, *, made: bool) -> ServerFailed:
        """Nobody would look after a server that this call began and that does not come up: it is stopped again."""
        manager = (await self.gateway()).manager
        reason = status.reason
        if status.phase != "failed":
            reason = (
                f"it is still {status.phase} after {waited:g} s{f' ({reason})' if reason else ''}: allow more with wait"
            )
        log: list[str] = []
        with suppress(ManagerError):
            log = [line async for line in manager.logs(status.id, lines=_LAST_LINES)]
            if made:
                await manager.stop(status.id, by="python")
        return ServerFailed(status.id, reason, log)


class Sidecar:
    """What runs the servers, and whether it can."""

    def __init__(self, servers: ExternalServers) -> None:
        self._servers = servers

    async def health_check(self) -> HealthReport:
        """Whether servers can be started now, and the status of each that is wanted."""
        gateway = await self._servers.gateway()
        reason = ""
        try:
            await gateway.launcher.check()
            await gateway.store.ping()
        except Exception as error:  # whatever it is, it is why
            reason = str(error) or type(error).__name__
        servers = {status.id: status.phase for status in gateway.manager.list()}
        return {"healthy": not reason, "reason": reason, "servers": dict(servers)}

    async def get_server_status(self, server_id: str) -> ServerHealth:
        """Whether one server answers a harmless request. Raises `UnknownServer`."""
        status, seconds, reason = await (await self._servers.gateway()).manager.health(server_id)
        return {
            "server_id": status.id,
            "status": status.phase,
            "healthy": seconds is not None,
            "seconds": seconds,
            "reason": reason,
        }


__all__ = [
    "ExternalServers",
    "HealthReport",
    "Refused",
    "ServerConfig",
    "ServerFailed",
    "ServerHealth",
    "ServerReport",
    "Sidecar",
    "UnknownServer",
]

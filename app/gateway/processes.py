"""Servers as processes of this machine, each under its own minder: the launcher of the embedded gateway."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from app.gateway.children.children import Children
from app.gateway.children.command import LONGEST_LINE, Command
from app.gateway.children.environment import base_environment, memory_bytes
from app.gateway.children.listening import HOST, free_port
from app.gateway.children.masking import Masker
from app.gateway.children.metrics import ChildMetrics
from app.gateway.children.restarts import Restarts
from app.gateway.children.supervised import Manner, Supervised
from app.gateway.children.tail import Tail
from app.gateway.launcher import Endpoint, Launched, LaunchError, UrlEndpoint
from app.gateway.spec import LaunchSpec
from app.gateway.watches import Watches

logger = logging.getLogger("slipway.child")

_PORT = "{port}"
_PATHS = {"http": "/mcp", "sse": "/sse", "websocket": "/mcp", "stdio": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessOptions:
    """What all servers of a gateway have in common."""

    most_children: int = 200
    most_children_each: int = 8
    longest_line: int = LONGEST_LINE
    after_input: float = 2.0
    """Seconds that a server has to end by itself, once its input ended."""
    after_term: float = 3.0
    """Seconds that it has after SIGTERM, before SIGKILL ends it and all its descendants."""
    listens_within: float = 120.0
    memory_look: float = 2.0
    restarts: Restarts = field(default_factory=Restarts)
    directory: str | None = None
    """Where servers start; None for a private directory each, which is removed with them."""
    folder: Path | None = None
    """Where private directories are made; None for the system's."""


class ProcessLauncher:
    """Implements `Launcher`. `environment` is the gateway's own: a child is given little of it (`base_environment`)."""

    def __init__(
        self,
        environment: Mapping[str, str],
        options: ProcessOptions | None = None,
        metrics: ChildMetrics | None = None,
    ) -> None:
        self._options = options or ProcessOptions()
        self._environment = base_environment(environment)
        self.children = Children(most=self._options.most_children, folder=self._options.folder, metrics=metrics)
        self._servers: dict[str, _Server] = {}
        self._watches = Watches()

    async def start(self, spec: LaunchSpec) -> Launched:
        known = self._servers.get(spec.id)
        if known is not None and known.digest == spec.digest():
            return known.launched()
        server = self._server(spec)
        self._servers[spec.id] = server
        if server.process is not None:
            server.process.start(after=known.process if known is not None else None)
        elif known is not None and known.process is not None:
            await known.process.stop()
        self._watches.tell(server.launched())
        return server.launched()

    async def stop(self, server_id: str) -> None:
        server = self._servers.get(server_id)
        if server is None:
            return
        if server.process is not None:
            await server.process.stop()
        if self._servers.get(server_id) is server:
            del self._servers[server_id]
            self._watches.tell(replace(server.launched(), state="stopped", reason="stopped", endpoint=None))

    async def adopt(self) -> list[Launched]:
        """Nothing: local processes end with their gateway."""
        return []

    def watch(self) -> AsyncIterator[Launched]:
        return self._watches.begin()

    def logs(self, server_id: str, *, lines: int = 100, follow: bool = False) -> AsyncIterator[str]:
        server = self._servers.get(server_id)
        if server is None:
            raise LaunchError(f"there is no server {server_id!r}")
        return server.tail.follow(lines) if follow else _each(server.tail.lines(lines))

    async def check(self) -> None:
        await self.children.check()

    async def close(self) -> None:
        await asyncio.gather(*(self.stop(server_id) for server_id in list(self._servers)))
        await self.children.close()
        self._watches.end()

    def _server(self, spec: LaunchSpec) -> _Server:
        tail = Tail(spec.id, Masker(spec.environment, spec.command))
        if not spec.command:
            if spec.url is None:
                raise LaunchError(
                    f"{spec.id!r} names an image and no command: images run as pods only; give a package or a url"
                )
            return _Server(spec, tail, UrlEndpoint(spec.url, spec.transport))
        for variable, ref in spec.secret_environment.items():
            raise LaunchError(
                f"secretEnvironment.{variable} of {spec.id!r} is key {ref.key!r} of the Kubernetes Secret "
                f"{ref.secret!r}, which local processes cannot read: give environment.{variable} instead"
            )
        endpoint, port, words, environment = _address(spec)
        try:
            memory = memory_bytes(spec.limits.memory)
        except ValueError as error:
            raise LaunchError(f"{spec.id!r}: {error}") from None
        options = self._options
        command = Command(
            server=spec.id,
            argv=words,
            environment={**self._environment, **environment},
            directory=options.directory,
            memory=memory,
            look=options.memory_look,
            speaks=endpoint is None,
            idle=spec.idle_seconds,
            longest_line=options.longest_line,
            after_input=options.after_input,
            after_term=options.after_term,
        )
        manner = Manner(
            restarts=options.restarts,
            port=port,
            listens_within=options.listens_within,
            most=options.most_children_each,
        )
        server = _Server(spec, tail, endpoint)
        server.process = Supervised(command, manner, self.children, tail, lambda: self._watches.tell(server.launched()))
        return server


class _Server:
    """What is known of one server."""

    def __init__(self, spec: LaunchSpec, tail: Tail, url: UrlEndpoint | None) -> None:
        self.spec = spec
        self.digest = spec.digest()
        self.tail = tail
        self.url = url
        self.process: Supervised | None = None

    def launched(self) -> Launched:
        process = self.process
        if process is None:
            return Launched(self.spec.id, "running", self.digest, self.url)
        endpoint: Endpoint | None = process if self.url is None else self.url if process.state == "running" else None
        return Launched(
            self.spec.id, process.state, self.digest, endpoint, process.started, process.restarts, process.reason
        )


def _address(spec: LaunchSpec) -> tuple[UrlEndpoint | None, int | None, tuple[str, ...], dict[str, str]]:
    """Where a server that listens will be, with the words and variables that tell it so."""
    if spec.transport == "stdio":
        return None, None, spec.command, spec.environment
    texts = (*spec.command, *spec.environment.values(), spec.url or "")
    told = any(_PORT in text for text in texts)
    port = spec.port if spec.port is not None and not told else free_port()
    words = tuple(word.replace(_PORT, str(port)) for word in spec.command)
    environment = {name: value.replace(_PORT, str(port)) for name, value in spec.environment.items()}
    environment.setdefault("PORT", str(port))
    scheme = "ws" if spec.transport == "websocket" else "http"
    url = (spec.url or f"{scheme}://{HOST}:{_PORT}{_PATHS[spec.transport]}").replace(_PORT, str(port))
    return UrlEndpoint(url, spec.transport), port, words, environment


async def _each(lines: list[str]) -> AsyncIterator[str]:
    for line in lines:
        yield line

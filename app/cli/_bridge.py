"""One server's standard streams over every transport: its children, their launcher and the application around them."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from prometheus_client import CollectorRegistry

from app.application import Application
from app.cli._hosting import Hosting, patience
from app.gateway.catalogue.catalogue import Catalogue
from app.gateway.catalogue.lanes import Lanes, SessionLanes
from app.gateway.catalogue.view import Choice
from app.gateway.children.metrics import ChildMetrics
from app.gateway.children.restarts import Restarts
from app.gateway.launcher import Launched, LaunchError, UrlEndpoint
from app.gateway.processes import ProcessLauncher, ProcessOptions
from app.gateway.spec import LaunchSpec, Limits
from app.gateway.upstream import Upstream, UpstreamUnavailable
from app.gateway.upstreams import UpstreamOptions, open_upstream
from app.lifecycle import Lifecycle
from app.sessions.tasks import stop
from app.settings import Settings

logger = logging.getLogger("slipway.bridge")

Mode = Literal["shared", "per-session"]

FIRST_SECONDS = 60.0
"""For so long, the first clients wait for a child that is still being installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgePlan:
    """What is bridged, and how."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    """The children's, beside the few variables that every child is given."""
    children: int = 1
    """As many share the work; with a child for each session, no more sessions than that have one."""
    mode: Mode = "shared"
    idle: float | None = None
    """Seconds after which a child that nobody used is ended; None for never."""
    directory: str | None = None
    give_up: bool = False
    """End when the child keeps ending, instead of trying on."""

    @property
    def name(self) -> str:
        """A name for logs, after the package or the program."""
        return server_name(self.command)


class Bridge:
    """Starts the children and keeps them in the catalogue. `gave_up` is told why, where the plan is to give up."""

    def __init__(
        self, settings: Settings, plan: BridgePlan, metrics: ChildMetrics, gave_up: Callable[[str], None]
    ) -> None:
        self.name = plan.name
        self.view = Choice(servers=(self.name,), beside_others=False)
        self.catalogue = Catalogue(union=self.view, call_seconds=settings.request_timeout)
        self.ready = asyncio.Event()
        """Its lists were read once."""
        self._plan = plan
        self._options = UpstreamOptions(timeout=settings.request_timeout, handshake_timeout=FIRST_SECONDS * 3)
        most = plan.children + 1
        options = ProcessOptions(
            most_children=most,
            most_children_each=most,
            directory=plan.directory,
            restarts=Restarts(attempts=3) if plan.give_up else Restarts(),
        )
        self._launcher = ProcessLauncher(plan.environment, options, metrics)
        self._limits = Limits(cpu=settings.server_cpu_limit, memory=settings.server_memory_limit)
        self._upstream: Lanes | None = None
        self._gave_up = gave_up
        self._tasks: list[asyncio.Task[None]] = []
        self._reason = "its first child is starting"

    async def start(self) -> None:
        """Begin to start the first child; `ready` is set once it answered."""
        spec = LaunchSpec(
            id=self.name,
            type="npx",
            transport="stdio",
            command=self._plan.command,
            environment=dict(self._plan.environment),
            limits=self._limits,
        )
        if self._plan.give_up:
            self._tasks.append(asyncio.create_task(self._until_hopeless(), name="give up"))
            await asyncio.sleep(0)
        launched = await self._launcher.start(spec)
        self._upstream = self._lanes(launched)
        self._tasks.append(asyncio.create_task(self._open(self._upstream), name="open the bridged server"))

    async def close(self) -> None:
        """End all children."""
        await stop(self._tasks)
        await self.catalogue.close()
        if self._upstream is not None:
            await self._upstream.close()
        await self._launcher.close()

    def session_ended(self, session_id: str) -> None:
        """A session is over, and with it what was its own."""
        if isinstance(self._upstream, SessionLanes):
            self._upstream.end(session_id)

    def missing(self) -> str:
        """Why nothing can be called; empty where it can."""
        if self._upstream is None or not self.ready.is_set():
            return f"'{self.name}' is not ready: {self._reason}"
        return "" if self._upstream.available else f"'{self.name}' is away: see the log"

    async def wait(self) -> None:
        """For the first clients: until it is ready, or clearly late."""
        await patience(self.ready, FIRST_SECONDS)

    def _lanes(self, launched: Launched) -> Lanes:
        endpoint = launched.endpoint
        if endpoint is None or isinstance(endpoint, UrlEndpoint):
            raise LaunchError(f"'{self.name}' has no standard streams")
        names = iter(range(1, 1_000_000_000))

        def make() -> Upstream:
            return open_upstream(f"{self.name}#{next(names)}", endpoint, self._options)

        if self._plan.mode == "per-session":
            return SessionLanes(make, self._plan.children, idle=self._plan.idle or 300.0)
        return Lanes(make, self._plan.children, idle=self._plan.idle)

    async def _until_hopeless(self) -> None:
        async for launched in self._launcher.watch():
            if launched.state == "failed":
                self._gave_up(launched.reason)
                os.kill(os.getpid(), signal.SIGTERM)  # what runs is drained
                return

    async def _open(self, upstream: Lanes) -> None:
        while True:
            try:
                await upstream.open()
                listing = await self.catalogue.put(self.name, upstream)
                break
            except UpstreamUnavailable as error:
                self._reason = str(error)
                logger.warning("the server is not there yet: %s", error)
                await asyncio.sleep(1.0)
        self.ready.set()
        logger.info("bridged", extra={"fields": {"server": self.name, "tools": listing.tools}})


def build_bridge(
    settings: Settings, plan: BridgePlan, gave_up: Callable[[str], None] = lambda _: None
) -> tuple[Application, Lifecycle]:
    """Everything that a bridge serves. Called on the running event loop."""
    metrics = CollectorRegistry()
    bridge = Bridge(settings, plan, ChildMetrics(metrics), gave_up)
    hosting = Hosting(
        settings,
        bridge.catalogue,
        bridge.catalogue.union,
        more_metrics=metrics,
        on_start=[bridge.start],
        on_stop=[bridge.close],
        before=bridge.wait,
        missing=bridge.missing,
        session_ended=[bridge.session_ended],
    )
    return hosting.build()


def server_name(command: tuple[str, ...]) -> str:
    """A DNS label for what a command starts: of `npx -y @scope/server-time@1`, `server-time`."""
    words = [word for word in command if not word.startswith("-")]
    chosen = words[1] if len(words) > 1 and PurePath(words[0]).name in _RUNNERS else words[0] if words else "server"
    parts = PurePath(re.sub(r"(?<=.)[@=<>~!][^/]*$", "", chosen.strip())).with_suffix("").parts
    telling = [part for part in parts if part not in _COMMON] or ["server"]
    label = re.sub(r"[^a-z0-9]+", "-", telling[-1].lower()).strip("-")
    return label[:40].strip("-") or "server"


_RUNNERS = {"npx", "uvx", "node", "python", "python3", "bunx", "pnpm", "uv", "deno", "sh", "bash", "env"}
_COMMON = {"index", "main", "dist", "build", "src", "bin", "lib", "/", ".", ".."}

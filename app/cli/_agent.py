"""An agent's parts, put together: an MCP server whose tools are its capabilities, and its place in the mesh."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path

import msgspec
from msgspec import UNSET

from app.cli._problems import FAILED, complain
from app.cli._wiring import Core
from app.mesh.agent.calling import Mesh, use
from app.mesh.agent.config import AgentConfig, ConfigError, Offered, offered, read_config
from app.mesh.agent.declaring import Declared, declared_in
from app.mesh.agent.directory import Directory
from app.mesh.agent.finding import Finder
from app.mesh.agent.membership import Membership
from app.mesh.agent.metrics import AgentMetrics
from app.mesh.agent.peers import Peers
from app.mesh.agent.watching import on_change
from app.mesh.model import Capability, Registration
from app.protocol.handlers import Tool
from app.settings import Settings
from app.telemetry.tracing import current_trace
from app.toolsets import tool
from app.toolsets._tool import FunctionTool

logger = logging.getLogger("slipway.agent")

_SAMPLES = ("app.mesh.samples.greeting",)


def serve_agent(settings: Settings, config: Path | None) -> int:
    """Serve until told to end; the exit status."""
    from app.cli._start import serve

    try:
        declared = _declared(settings.agent_modules or _SAMPLES)
        now = _read(config, declared)
    except ConfigError as error:
        return complain(error.problems)
    toolsets = settings.toolsets if "toolsets" in settings.model_fields_set else ()
    listens = settings.mesh_http_enabled or "mesh_http_enabled" not in settings.model_fields_set
    settings = settings.model_copy(
        update={
            "transport": "http" if listens else "stdio",
            "toolsets": toolsets,
            "workers": 1,
            "service_name": settings.agent_name or settings.service_name,
        }
    )
    if not listens:
        return serve(settings, bring=partial(_bring, settings, config, declared, now, 0))
    from app.server import BindError, bind, port_of

    try:
        listener = bind(settings.host, settings.port)
    except BindError as error:
        return complain([str(error)], FAILED)
    bring = partial(_bring, settings, config, declared, now, port_of(listener))
    return serve(settings, listener=listener, bring=bring)


class Agent:
    """What one agent offers now, and everything that has to know when that changes."""

    def __init__(self, settings: Settings, core: Core, declared: list[Declared], now: Offered) -> None:
        self.now = now
        self._settings = settings
        self._core = core
        self._declared = declared
        self._tools: Mapping[str, Tool] = {}
        self.membership: Membership | None = None
        self._put(now)

    def describe(self, port: int) -> Registration:
        """What the registry is told."""
        return Registration(
            name=self._settings.service_name,
            replica="",
            endpoint=f"http://{_address(self._settings)}:{port}",
            capabilities=tuple(self._told(one) for one in self.now.capabilities),
            dependencies=self.now.dependencies,
            metadata=_place(self._settings),
            health_interval=self.now.health_interval,
        )

    async def reload(self, path: Path) -> None:
        """Take in a changed file; a wrong one is told, and changes nothing."""
        try:
            now = _read(path, self._declared)
        except ConfigError as error:
            for problem in error.problems:
                logger.warning("the changed file is not used: %s", problem)
            return
        if now == self.now:
            return
        self._put(now)
        self.now = now
        if self.membership is not None:
            self.membership.changed()
        logger.info("the changed file is in use", extra={"fields": {"capabilities": list(self._tools)}})

    def _put(self, now: Offered) -> None:
        made = {one.name: _tool(one) for one in now.capabilities}
        for name in self._tools:
            self._core.registry.remove_tool(name)
        self._core.registry.add(*made.values())
        self._tools = made

    def _told(self, one: Declared) -> Capability:
        definition = self._tools[one.name].definition
        description = definition.description
        return Capability(
            name=one.name,
            version=one.version,
            timeout=one.timeout,
            tags=one.tags,
            description=None if description is UNSET else description[:1024],
            input_schema=msgspec.to_builtins(definition.input_schema),
        )


def _bring(
    settings: Settings, path: Path | None, declared: list[Declared], now: Offered, port: int, core: Core
) -> None:
    """Make a server an agent. Called on the running event loop, before anything is served."""
    agent = Agent(settings, core, declared, now)
    token = None if settings.mesh_token is None else settings.mesh_token.get_secret_value()
    url = settings.mesh_registry_url
    directory = None if url is None else Directory(url, token=token)
    peers = Peers()
    metrics = AgentMetrics(lambda: agent.membership is not None and agent.membership.joined)
    core.metrics.include(metrics)
    use(
        Mesh(
            Finder(directory, service=_service(settings)),
            peers,
            retries=lambda: agent.now.retry_attempts,
            metrics=metrics,
            trace=current_trace,
        )
    )
    equipment = core.equipment
    if directory is None:
        logger.warning("no MCP_MESH_REGISTRY_URL: this agent is in no mesh, and only those who know it can call it")
    elif settings.transport == "http":
        agent.membership = membership = Membership(
            directory,
            partial(agent.describe, port),
            lambda: float(core.activity.running),
            pod=settings.pod_name or socket.gethostname(),
        )
        equipment.checks["registry"] = membership.check
        equipment.on_start.append(membership.start)
        equipment.before_exit.append(membership.leave)
        equipment.on_stop.append(membership.leave)
    if directory is not None:
        equipment.on_stop.append(directory.close)
    equipment.on_stop.append(peers.close)
    if path is not None:
        _follow(equipment.on_start.append, equipment.on_stop.append, path, agent)


def _follow(on_start: Callable[..., None], on_stop: Callable[..., None], path: Path, agent: Agent) -> None:
    """Read the file again whenever it changes."""
    tasks: list[asyncio.Task[None]] = []

    async def start() -> None:
        tasks.append(asyncio.create_task(on_change(path, partial(agent.reload, path))))

    async def stop() -> None:
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    on_start(start)
    on_stop(stop)


def _tool(one: Declared) -> FunctionTool:
    return tool(name=one.name, timeout=one.timeout, meta={"slipway.dev/version": one.version})(one.function)


def _read(path: Path | None, declared: list[Declared]) -> Offered:
    return offered(AgentConfig() if path is None else read_config(path), declared, path=path)


def _declared(modules: tuple[str, ...]) -> list[Declared]:
    """What the modules declare. Raises `ConfigError`."""
    if "" not in sys.path:
        sys.path.insert(0, "")  # modules beside the program's folder, as `python -m` finds them
    problems: list[str] = []
    found: list[Declared] = []
    for name in modules:
        try:
            declared = declared_in(import_module(name))
        except Exception as error:  # the module is the user's own: anything can go wrong in it
            problems.append(f"module '{name}' cannot be imported: {type(error).__name__}: {error}")
            continue
        if not declared:
            problems.append(f"module '{name}' declares no capability: decorate an async function with @capability")
        found.extend(declared)
    for one in found:
        try:
            _tool(one)
        except (TypeError, NameError) as error:
            problems.append(f"capability '{one.name}' of {one.function.__module__}: its annotations: {error}")
    if problems:
        raise ConfigError(None, problems)
    return found


def _address(settings: Settings) -> str:
    """Where others reach this agent: its pod's address, or where it listens."""
    address = settings.pod_ip or settings.host
    if address in ("0.0.0.0", "::"):  # noqa: S104 (compared, not bound)
        address = "127.0.0.1"
    return f"[{address}]" if ":" in address else address


def _place(settings: Settings) -> dict[str, str]:
    """Which pod it is; agents of one name in two namespaces are two agents."""
    return {"pod": settings.pod_name, "namespace": settings.namespace} if settings.pod_name else {}


def _service(settings: Settings) -> str | None:
    if settings.agent_service is not None:
        return settings.agent_service
    return f"{{agent}}-headless.{settings.namespace}.svc" if settings.pod_ip else None

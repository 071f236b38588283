"""The registry's parts, put together: settings and a folder go in, one running registry comes out."""

from __future__ import annotations

import logging
import socket
from functools import partial
from pathlib import Path

from app.application import Application
from app.cli._problems import FAILED, WiringError, complain, wiring_redis
from app.cli._start import begin
from app.lifecycle import Lifecycle, Readiness
from app.mesh.endpoints import EndpointPolicy
from app.mesh.registry.access import Access
from app.mesh.registry.api import Api
from app.mesh.registry.discovery import Discovery
from app.mesh.registry.federation import Federation
from app.mesh.registry.metrics import RegistryMetrics
from app.mesh.registry.official import OfficialApi
from app.mesh.registry.page import Page, Shown
from app.mesh.registry.pending import Pending
from app.mesh.registry.replica import Replica
from app.mesh.registry.service import Registry
from app.mesh.registry.site import Site, exactly
from app.mesh.registry.stream import WatchStream
from app.mesh.store import AgentStore, MeshLimits
from app.mesh.stores._file import FolderError
from app.mesh.stores.copy import FileCopy
from app.mesh.stores.memory import MemoryAgents
from app.probes import Probes
from app.security.guard import Guard
from app.security.origins import OriginPolicy, is_loopback
from app.security.tokens import BearerTokens, TokenFormatError
from app.settings import Settings
from app.telemetry.metrics import Metrics
from app.version import VERSION

logger = logging.getLogger("slipway.start")


def serve_registry(settings: Settings, data: Path | None) -> int:
    """Serve until told to end; the exit status."""
    from app.server import BindError, bind, port_of, run_server

    begin(settings)
    try:
        listener = bind(settings.host, settings.port)
    except BindError as error:
        return complain([str(error)], FAILED)
    try:
        make = partial(build_registry, settings, data)
        run_server(make, settings, listener, on_listening=partial(_say, settings, data, port_of(listener)))
    except WiringError as error:
        return complain([str(error)])
    finally:
        listener.close()
    return 0


def build_registry(settings: Settings, data: Path | None) -> tuple[Application, Lifecycle]:
    """Everything that a registry serves. Called on the running event loop."""
    name = settings.registry_id or settings.pod_name or socket.gethostname()
    access = Access(_tokens(settings))
    store, pending = _kept(settings, data)
    replica = Replica(
        store,
        pending,
        max_beats=settings.mesh_max_beats,
        retention=settings.mesh_gone_seconds,
    )
    registry = Registry(replica, _endpoints(settings), max_at_address=settings.mesh_max_agents_per_address)
    discovery = Discovery(replica.directory)
    api = Api(registry, access, discovery, name=name)
    federation = _federation(settings, replica, discovery, access)
    official = OfficialApi(replica.directory, access, version=VERSION)
    metrics = Metrics(version=VERSION)
    metrics.include(RegistryMetrics(registry))
    lifecycle = Lifecycle()
    probes = Probes(
        service=settings.service_name,
        version=VERSION,
        readiness=Readiness(lifecycle, {"store": replica.store.ping}),
        tools=lambda: len(replica.directory.shelves),
        metrics=metrics,
    ).routes()
    lifecycle.before_exit(replica.hub.end)
    page = Page(Shown(settings.service_name, name, VERSION, _where(settings, data)), replica, access)
    exact = {
        "/": page.frame,
        "/overview": page.overview,
        "/watch": WatchStream(replica.hub, access),
        "/federation": federation,
    }
    under = {"/agents/": api.one, "/page/": page.asset, "/v0/": official, "/v0.1/": official}
    application = Application(
        http={**api.routes(), **exactly(exact, api), **probes},
        websocket={},
        public=frozenset(),
        public_under=("/",),  # registrations bring tokens of their own: each endpoint looks at them itself
        site=Site(api, under),
        guard=Guard(
            OriginPolicy(bound_to=settings.host, hosts=settings.allowed_hosts, origins=settings.allowed_origins)
        ),
        lifecycle=lifecycle,
        metrics=metrics,
        on_start=(replica.start,),
        on_stop=(replica.close, federation.close),
    )
    return application, lifecycle


def _kept(settings: Settings, data: Path | None) -> tuple[AgentStore, Pending]:
    """Where agents are kept, and what this replica keeps for itself."""
    limits = MeshLimits(max_agents=settings.mesh_max_agents)
    try:
        if settings.redis_address is not None:
            return _redis(settings.redis_address, limits), Pending(_copy(data), most=settings.mesh_max_pending)
        if data is not None:
            from app.mesh.stores.sqlite import SqliteAgents

            return SqliteAgents(data, limits), Pending()
    except FolderError as error:
        raise WiringError(str(error)) from None
    return MemoryAgents(limits), Pending()


def _redis(address: str, limits: MeshLimits) -> AgentStore:
    with wiring_redis():
        from app.mesh.stores.redis import RedisAgents

        return RedisAgents(address, limits)


def _copy(data: Path | None) -> FileCopy | None:
    if data is None:
        logger.warning("no --data: after a restart while Redis is away, nothing is known and nobody can register")
        return None
    return FileCopy(data)


def _endpoints(settings: Settings) -> EndpointPolicy:
    try:
        return EndpointPolicy(settings.mesh_allowed_endpoints, local=is_loopback(settings.host))
    except ValueError as error:
        raise WiringError(f"MCP_MESH_ALLOWED_ENDPOINTS is wrong: {error}: write networks like 10.0.0.0/8") from None


def _federation(settings: Settings, replica: Replica, discovery: Discovery, access: Access) -> Federation:
    token = settings.mesh_peer_token.get_secret_value() if settings.mesh_peer_token else None
    try:
        return Federation(settings.mesh_peers, replica, discovery, access, token=token)
    except ValueError as error:
        raise WiringError(f"MCP_MESH_PEERS is wrong: {error}") from None


def _tokens(settings: Settings) -> BearerTokens:
    try:
        return BearerTokens(settings.bearer_tokens)
    except TokenFormatError as error:
        raise WiringError(f"MCP_AUTH_TOKENS=(hidden) is wrong: {error}") from None


def _where(settings: Settings, data: Path | None) -> str:
    """Where agents are kept, for people."""
    if settings.redis_address:
        return "redis"
    return f"sqlite in {data}" if data else "memory (embedded: nothing outlives it)"


def _say(settings: Settings, data: Path | None, port: int) -> None:
    """What runs, where, and what it keeps where."""
    fields = {
        "address": f"http://{settings.host}:{port}/",
        "registry": settings.registry_id or settings.pod_name or socket.gethostname(),
        "agents": _where(settings, data),
        "tokens": "required" if settings.bearer_tokens else "not required",
    }
    logger.info("serving", extra={"fields": fields})

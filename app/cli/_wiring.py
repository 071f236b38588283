"""Where the parts of the program meet: settings go in, one running application comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.asgi import ASGIApp, LazyApp, Receive, Scope, Send
from app.cli._equipment import Equipment, equip
from app.cli._problems import WiringError, wiring_redis
from app.lifecycle import Lifecycle, Readiness
from app.protocol.changes import Change
from app.protocol.content import Implementation
from app.protocol.dispatcher import Dispatcher
from app.protocol.sealing import StateSealer
from app.security.guard import Guard
from app.security.origins import OriginPolicy
from app.security.tokens import BearerTokens, TokenFormatError
from app.sessions.store import SessionStore, StoreLimits
from app.settings import Settings
from app.telemetry.activity import Activity
from app.telemetry.metrics import Metrics
from app.telemetry.observed import ObservedDispatcher
from app.toolsets import About, ToolsetRegistry, load
from app.version import VERSION

if TYPE_CHECKING:
    from app.application import Application
    from app.telemetry.spans import Spans

HTTP_TRANSPORTS = ("http", "sse", "websocket")


@dataclass(frozen=True, slots=True)
class Core:
    """What every transport needs."""

    registry: ToolsetRegistry
    dispatcher: Dispatcher
    metrics: Metrics
    activity: Activity
    equipment: Equipment


def build_core(settings: Settings, *, shared_metrics: str | None = None) -> Core:
    """The tools, and the dispatcher that answers for them."""
    equipment = equip(settings)
    about = About(
        name=settings.service_name,
        transports=("stdio",) if settings.transport == "stdio" else HTTP_TRANSPORTS,
        stores={"sessions": "redis" if settings.redis_address else "memory", **equipment.stores},
    )
    try:
        registry = load(settings.toolsets, about=about, given=equipment.given)
    except ValueError as error:
        raise WiringError(f"MCP_TOOLSETS={','.join(settings.toolsets)!r} is wrong: {error}") from None
    metrics = Metrics(version=VERSION, shared=shared_metrics)
    activity = Activity()
    spans = build_spans(settings)
    if spans is not None:
        equipment.on_stop.append(spans.close)
    dispatcher = ObservedDispatcher(
        registry,
        Implementation(name=settings.service_name, version=VERSION),
        sealer=StateSealer(settings.sealing_keys) if settings.sealing_keys else StateSealer.ephemeral(),
        metrics=metrics,
        activity=activity,
        spans=spans,
        log_calls=settings.access_log,
        time_limit=settings.request_timeout,
    )
    registry.listen_updates(lambda uri: dispatcher.changes.tell(Change("resource", uri)))
    return Core(registry, dispatcher, metrics, activity, equipment)


def build_spans(settings: Settings) -> Spans | None:
    """Where spans go; None where no collector is configured."""
    if settings.traces_endpoint is None:
        return None
    try:
        from app.telemetry.spans import Spans
    except ModuleNotFoundError:
        raise WiringError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is missing: pip install 'slipway[traces]'"
        ) from None
    return Spans.to(settings.traces_endpoint, service=settings.service_name, version=VERSION)


def build_store(settings: Settings) -> SessionStore:
    """Redis where one is configured, this process otherwise."""
    limits = StoreLimits(
        ttl=settings.session_ttl,
        max_sessions=settings.max_sessions,
        max_events=settings.max_events,
        max_bytes=settings.max_event_bytes,
    )
    if settings.redis_address is None:
        from app.sessions.memory import MemoryStore

        return MemoryStore(limits)
    with wiring_redis():
        from app.sessions.redis import RedisStore

        return RedisStore(settings.redis_address, limits)


def build_guard(settings: Settings) -> Guard:
    """Who may come in."""
    try:
        tokens = BearerTokens(settings.bearer_tokens)
    except TokenFormatError as error:
        raise WiringError(f"MCP_AUTH_TOKENS=(hidden) is wrong: {error}") from None
    origins = OriginPolicy(bound_to=settings.host, hosts=settings.allowed_hosts, origins=settings.allowed_origins)
    return Guard(origins, tokens)


def build_application(
    settings: Settings, *, shared_metrics: str | None = None, bring: Callable[[Core], None] | None = None
) -> tuple[Application, Lifecycle]:
    """Everything that is served over sockets, with what `bring` adds to it. Called on the running event loop."""
    from app.application import Application
    from app.cli._relay import ChangeRelay
    from app.probes import Probes
    from app.transports._channel import Switchboard
    from app.transports._task_relay import TaskRelay
    from app.transports.http import StreamableHttp
    from app.transports.messages import BareMessages
    from app.transports.sse import SseTransport
    from app.transports.websocket import WebSocketTransport

    core = build_core(settings, shared_metrics=shared_metrics)
    if bring is not None:
        bring(core)
    equipment = core.equipment
    store = build_store(settings)
    guard = build_guard(settings)
    lifecycle = Lifecycle()
    board = Switchboard(store)
    relay = ChangeRelay(core.dispatcher.changes, store)
    tasks = TaskRelay(core.dispatcher.tasks, store)
    body = settings.max_body_bytes
    streamable = StreamableHttp(core.dispatcher, store, board, max_body_bytes=body)
    sse = SseTransport(core.dispatcher, store, board, max_body_bytes=body)
    websocket = WebSocketTransport(core.dispatcher, store, board)
    bare = BareMessages(core.dispatcher, max_body_bytes=body, with_session=sse)
    probes = Probes(
        service=settings.service_name,
        version=VERSION,
        readiness=Readiness(lifecycle, {"sessions": store.ping, **equipment.checks}),
        tools=lambda: len(core.registry.tools()),
        metrics=core.metrics,
    ).routes()

    async def end_listening() -> None:
        core.metrics.draining.set(1)
        core.dispatcher.close_listeners()

    for step in (end_listening, streamable.drain, sse.drain, websocket.drain, *equipment.before_exit):
        lifecycle.before_exit(step)
    application = Application(
        http={"/mcp": streamable, "/mcp/": streamable, "/sse": sse, "/messages": bare, **equipment.routes, **probes},
        websocket={"/mcp": websocket, "/mcp/": websocket},
        public=frozenset({"/", "/map", *probes}),
        public_under=("/page/", "/map/"),
        site=LazyApp(lambda: _site(settings, core, wants_token=guard.wants_token)),
        guard=guard,
        lifecycle=lifecycle,
        metrics=core.metrics,
        on_start=(board.start, relay.start, tasks.start, *equipment.on_start),
        on_stop=(store.close, board.close, *equipment.on_stop, relay.close, tasks.close, core.dispatcher.close),
    )
    return application, lifecycle


def _site(settings: Settings, core: Core, *, wants_token: bool) -> ASGIApp:
    from app.web.site import About as Shown
    from app.web.site import build_site

    about = Shown(
        service=settings.service_name,
        version=VERSION,
        toolsets=settings.toolsets,
        stores=core.registry.about.stores,
        wants_token=wants_token,
        activity=core.activity,
    )
    site = build_site(core.registry, about)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await site(scope, receive, send)

    return serve

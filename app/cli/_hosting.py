"""A catalogue as a running application: what `slipway bridge` and `slipway gateway` have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from app.application import Application
from app.asgi import ASGIApp, LazyApp, Receive, Scope, Send
from app.cli._views import Before, Ground, Views
from app.cli._wiring import build_guard, build_spans, build_store
from app.gateway.catalogue.catalogue import Catalogue
from app.gateway.catalogue.view import View
from app.lifecycle import Check, Health, Lifecycle, Readiness
from app.probes import Probes
from app.protocol.content import Implementation
from app.protocol.dispatcher import Dispatcher
from app.protocol.sealing import StateSealer
from app.settings import Settings
from app.telemetry.activity import Activity
from app.telemetry.metrics import Metrics
from app.telemetry.observed import ObservedDispatcher
from app.transports._channel import Switchboard
from app.version import VERSION

if TYPE_CHECKING:
    from fastapi import FastAPI

Step = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Hosting:
    """The parts that a command adds to before `build` makes an application of them."""

    settings: Settings
    catalogue: Catalogue
    root: View
    """What `/mcp` serves."""
    metrics: Metrics = field(default_factory=lambda: Metrics(version=VERSION))
    activity: Activity = field(default_factory=Activity)
    more_metrics: CollectorRegistry = field(default_factory=CollectorRegistry)
    """For what the program itself does not count."""
    checks: dict[str, Check] = field(default_factory=dict[str, Check])
    on_start: list[Step] = field(default_factory=list[Step])
    before_exit: list[Step] = field(default_factory=list[Step])
    on_stop: list[Step] = field(default_factory=list[Step])
    """Run last, in the order given, once all that ran has ended."""
    before: Before | None = None
    """Waited for before anything of the protocol is served."""
    missing: Callable[[], str] = lambda: ""
    """Why no traffic should come here; nothing where it should."""
    routes: dict[str, ASGIApp] = field(default_factory=dict[str, ASGIApp])
    session_ended: list[Callable[[str], None]] = field(default_factory=list[Callable[[str], None]])
    make_site: Callable[[Hosting, bool], ASGIApp] | None = None

    def build(self) -> tuple[Application, Lifecycle]:
        """Everything that is served. Called on the running event loop."""
        settings, metrics = self.settings, self.metrics
        metrics.include(self.more_metrics)
        store, guard, lifecycle = build_store(settings), build_guard(settings), Lifecycle()
        board = Switchboard(store)
        board.when_ended += self.session_ended
        ground = Ground(
            dispatcher=self._dispatchers(),
            store=store,
            board=board,
            max_body_bytes=settings.max_body_bytes,
            relayed=settings.redis_address is not None,
            before=self.before,
        )
        views = Views(self.catalogue, self.root, ground)
        probes = Probes(
            service=settings.service_name,
            version=VERSION,
            readiness=_Readiness(lifecycle, {"sessions": store.ping, **self.checks}, self.missing),
            tools=lambda: len(self.root.tools()),
            metrics=metrics,
        ).routes()

        async def end_listening() -> None:
            metrics.draining.set(1)

        for step in (end_listening, views.drain, *self.before_exit):
            lifecycle.before_exit(step)
        application = Application(
            http={**views.root.http, **self.routes, **probes},
            websocket=views.root.websocket,
            find=views.find,
            public=frozenset({"/", *probes}),
            public_under=("/page/",),
            site=LazyApp(partial(self._site, wants_token=guard.wants_token)),
            guard=guard,
            lifecycle=lifecycle,
            metrics=metrics,
            on_start=(board.start, views.start, *self.on_start),
            on_stop=(store.close, board.close, *reversed(self.on_stop), views.close),  # run from the last to the first
        )
        return application, lifecycle

    def _dispatchers(self) -> Callable[[View], Dispatcher]:
        settings = self.settings
        sealer = StateSealer(settings.sealing_keys) if settings.sealing_keys else StateSealer.ephemeral()
        spans = build_spans(settings)
        if spans is not None:
            self.on_stop.append(spans.close)

        def make(view: View) -> Dispatcher:
            return ObservedDispatcher(
                view,
                Implementation(name=settings.service_name, version=VERSION),
                sealer=sealer,
                metrics=self.metrics,
                activity=self.activity,
                spans=spans,
                log_calls=settings.access_log,
                time_limit=settings.request_timeout,
            )

        return make

    def _site(self, *, wants_token: bool) -> ASGIApp:
        if self.make_site is not None:
            return self.make_site(self, wants_token)
        return as_app(site_of(self, (), wants_token=wants_token))


def site_of(hosting: Hosting, shown: Sequence[str], *, wants_token: bool, has_servers: bool = False) -> FastAPI:
    """The page, and the small REST part beside the protocol."""
    from app.web.site import About, build_site

    about = About(
        service=hosting.settings.service_name,
        version=VERSION,
        toolsets=shown,
        stores={"sessions": "redis" if hosting.settings.redis_address else "memory"},
        wants_token=wants_token,
        activity=hosting.activity,
        has_servers=has_servers,
    )
    return build_site(hosting.root, about)


def as_app(site: FastAPI) -> ASGIApp:
    """The site, as the application calls it."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await site(scope, receive, send)

    return serve


class _Readiness(Readiness):
    """Not ready while the one thing that is served is away."""

    def __init__(self, lifecycle: Lifecycle, checks: dict[str, Check], missing: Callable[[], str]) -> None:
        super().__init__(lifecycle, checks)
        self._missing = missing

    async def health(self) -> Health:
        health = await super().health()
        missing = self._missing()
        if health.ready and missing:
            return Health(ready=False, status=missing, dependencies=health.dependencies)
        return health


async def patience(ready: asyncio.Event, seconds: float) -> None:
    """Wait until something is there, though not for ever."""
    if not ready.is_set():
        try:
            async with asyncio.timeout(seconds):
                await ready.wait()
        except TimeoutError:
            return

"""The gateway, put together: settings and a configuration file go in, one running application comes out."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from app.application import Application
from app.asgi import ASGIApp
from app.cli._hosting import Hosting, as_app, site_of
from app.cli._packages import Close, build_packages, build_templates
from app.cli._pods import build_pod_launcher
from app.cli._problems import wiring_redis
from app.gateway.children.metrics import ChildMetrics
from app.gateway.launcher import Launcher
from app.gateway.manager.parts import ManagerLimits
from app.gateway.manager.store import FileStore, MemoryStore, Store
from app.gateway.processes import ProcessLauncher
from app.gateway.resolving import ResolveOptions, Resolver
from app.gateway.running import Gateway, GatewayOptions
from app.gateway.spec import Limits, Place
from app.gateway.templates import Templates
from app.gateway.upstreams import UpstreamOptions
from app.kubernetes.access import in_a_pod
from app.lifecycle import Lifecycle
from app.security.origins import is_loopback
from app.settings import Settings, variables_of_others

PORT = 8051
_OPEN_TO_ALL = (
    "this gateway asks for no token and listens to more than its own machine, so nobody may start or stop servers: "
    "set MCP_AUTH_TOKENS, or listen on 127.0.0.1"
)


@dataclass(frozen=True, slots=True)
class Made:
    """A gateway that is not open yet, with what else was made for it."""

    gateway: Gateway
    templates: Templates
    close: Close
    """Called once the gateway is closed."""


def make_gateway(
    settings: Settings,
    config: Path | None,
    metrics: CollectorRegistry,
    *,
    launcher: Launcher | None = None,
    place: Place = "process",
) -> Made:
    """A gateway as the settings say. A `launcher` of one's own is closed with it, and runs servers at that `place`."""
    if launcher is None:
        place = place_of(settings)
        launcher = (
            build_pod_launcher(settings, config, metrics)
            if place == "pod"
            else ProcessLauncher(variables_of_others(), metrics=ChildMetrics(metrics))
        )
    templates = build_templates(settings)
    packages, close_packages = build_packages(settings, templates)
    gateway = Gateway(
        launcher,
        Resolver(templates, resolve_options(settings, place=place), packages),
        GatewayOptions(
            place=place,
            limits=ManagerLimits(
                start_seconds=settings.gateway_start_seconds,
                resolve_seconds=settings.gateway_start_seconds,
                starts_at_once=settings.gateway_starts_at_once,
                servers=settings.gateway_max_servers,
            ),
            upstream=UpstreamOptions(timeout=settings.request_timeout),
            call_seconds=settings.request_timeout,
            replica_headers=_replica_headers(settings),
        ),
        config=config,
        store=build_server_store(settings),
        metrics=metrics,
    )
    return Made(gateway, templates, close_packages)


def build_gateway(settings: Settings, config: Path | None) -> tuple[Application, Lifecycle]:
    """Everything that a gateway serves. Called on the running event loop."""
    metrics = CollectorRegistry()
    made = make_gateway(settings, config, metrics)
    gateway = made.gateway
    closing = asyncio.Event()

    async def end_streams() -> None:
        closing.set()

    def site(hosting: Hosting, wants_token: bool) -> ASGIApp:
        from app.gateway.rest import Access, Rest

        open_to_all = not wants_token and not is_loopback(settings.host)
        access = Access(read_only=_OPEN_TO_ALL if open_to_all else "")
        found = site_of(hosting, ("gateway",), wants_token=wants_token, has_servers=True)
        Rest(gateway.manager, made.templates, access=access, closing=closing).add_to(found)
        return as_app(found)

    hosting = Hosting(
        settings,
        gateway.catalogue,
        gateway.catalogue.union,
        more_metrics=metrics,
        checks=gateway.checks,
        on_start=[gateway.open],
        before_exit=[end_streams],
        on_stop=[gateway.close, made.close],
        make_site=site,
    )
    return hosting.build()


def place_of(settings: Settings) -> Place:
    """Where servers run: as pods where that is wanted, or where this is itself a pod with an account."""
    if settings.gateway_launcher != "auto":
        return "pod" if settings.gateway_launcher == "pods" else "process"
    return "pod" if in_a_pod(variables_of_others()) else "process"


def build_server_store(settings: Settings) -> Store:
    """Where it is kept which servers were started: Redis, where replicas agree; a file; or this process only."""
    if settings.redis_address is not None:
        host = settings.pod_ip or settings.host
        url = settings.gateway_self or f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
        with wiring_redis():
            from app.gateway.manager.redis_store import RedisStore

            return RedisStore(settings.redis_address, owner=settings.pod_name or url, url=url)
    return MemoryStore() if settings.gateway_state is None else FileStore(settings.gateway_state)


def _replica_headers(settings: Settings) -> dict[str, str]:
    """All replicas accept the same tokens."""
    token = next(iter(settings.bearer_tokens), "").partition(":")[0]
    return {"authorization": f"Bearer {token}"} if token else {}


def resolve_options(settings: Settings, *, place: Place = "process") -> ResolveOptions:
    """What may be started, and with what limits, where the configuration file does not say."""
    return ResolveOptions(
        place=place,
        allow_npx=settings.allow_npx,
        allow_uv=settings.allow_uv,
        allow_custom_images=settings.allow_custom_images,
        allow_local_urls=settings.gateway_allow_local_urls or is_loopback(settings.host),
        archon_image=settings.gateway_image,
        strict=settings.packages_strict,
        verify=settings.packages_verify,
        limits=Limits(cpu=settings.server_cpu_limit, memory=settings.server_memory_limit),
    )

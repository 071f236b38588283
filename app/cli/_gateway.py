"""The gateway, put together: settings and a configuration file go in, one running application comes out."""

from __future__ import annotations

import asyncio
from pathlib import Path

from prometheus_client import CollectorRegistry

from app.application import Application
from app.asgi import ASGIApp
from app.cli._hosting import Hosting, as_app, site_of
from app.cli._packages import build_packages, build_templates
from app.gateway.catalogue.catalogue import Catalogue
from app.gateway.children.metrics import ChildMetrics
from app.gateway.launcher import Endpoint
from app.gateway.manager.declaration import Declaration
from app.gateway.manager.manager import Manager
from app.gateway.manager.metrics import ManagerMetrics
from app.gateway.manager.reconciler import Reconciler
from app.gateway.processes import ProcessLauncher
from app.gateway.resolving import ResolveOptions, Resolver
from app.gateway.spec import Limits
from app.gateway.upstream import Upstream
from app.gateway.upstreams import UpstreamOptions, open_upstream
from app.lifecycle import Amiss, Lifecycle
from app.security.origins import is_loopback
from app.settings import Settings, variables_of_others

PORT = 8051
_OPEN_TO_ALL = (
    "this gateway asks for no token and listens to more than its own machine, so nobody may start or stop servers: "
    "set MCP_AUTH_TOKENS, or listen on 127.0.0.1"
)


class Gateway:
    """All parts of one gateway, in the order in which they begin."""

    def __init__(self, settings: Settings, config: Path | None, metrics: CollectorRegistry) -> None:
        self.catalogue = Catalogue(call_seconds=settings.request_timeout)
        self.templates = build_templates(settings)
        packages, self._close_packages = build_packages(settings, self.templates)
        self.closing = asyncio.Event()
        self._settings = settings
        self._upstream_options = UpstreamOptions(timeout=settings.request_timeout)
        self._launcher = ProcessLauncher(variables_of_others(), metrics=ChildMetrics(metrics))
        self._resolver = Resolver(self.templates, resolve_options(settings, Declaration()), packages)
        self.manager = Manager(
            self._launcher, self._resolver, self.catalogue, self._open_upstream, metrics=ManagerMetrics(metrics)
        )
        self.reconciler = None if config is None else Reconciler(self.manager, config, apply=self._apply)

    async def start(self) -> None:
        """Take up what is declared; returns before the servers are there."""
        await self.manager.open()
        if self.reconciler is not None:
            await self.reconciler.open()
        await self.manager.sweep()

    async def drain(self) -> None:
        """End streams of logs."""
        self.closing.set()

    async def close(self) -> None:
        """End every server that is ours to end."""
        if self.reconciler is not None:
            await self.reconciler.close()
        await self.manager.close()
        await self.catalogue.close()
        await self._launcher.close()
        await self._close_packages()

    async def check(self) -> None:
        """For /ready: which servers do not run."""
        failed = [status.id for status in self.manager.list() if status.phase == "failed"]
        if failed:
            raise Amiss(f"not running: {', '.join(failed)}")

    def site(self, hosting: Hosting, *, wants_token: bool) -> ASGIApp:
        """The page with the REST API."""
        from app.gateway.rest import Access, Rest

        open_to_all = not wants_token and not is_loopback(self._settings.host)
        access = Access(read_only=_OPEN_TO_ALL if open_to_all else "")
        site = site_of(hosting, ("gateway",), wants_token=wants_token)
        Rest(self.manager, self.templates, access=access, closing=self.closing).add_to(site)
        return as_app(site)

    async def _apply(self, declaration: Declaration) -> None:
        self._resolver.options = resolve_options(self._settings, declaration)
        await self.manager.obey(declaration.policy(self._resolver.options))
        self.catalogue.declare(declaration.virtual)

    def _open_upstream(self, server_id: str, endpoint: Endpoint) -> Upstream:
        return open_upstream(server_id, endpoint, self._upstream_options)


def build_gateway(settings: Settings, config: Path | None) -> tuple[Application, Lifecycle]:
    """Everything that a gateway serves. Called on the running event loop."""
    metrics = CollectorRegistry()
    gateway = Gateway(settings, config, metrics)

    def site(hosting: Hosting, wants_token: bool) -> ASGIApp:
        return gateway.site(hosting, wants_token=wants_token)

    hosting = Hosting(
        settings,
        gateway.catalogue,
        gateway.catalogue.union,
        more_metrics=metrics,
        checks={
            "servers": gateway.check,
            **({"configuration": gateway.reconciler.check} if gateway.reconciler is not None else {}),
        },
        on_start=[gateway.start],
        before_exit=[gateway.drain],
        on_stop=[gateway.close],
        make_site=site,
    )
    return hosting.build()


def resolve_options(settings: Settings, declaration: Declaration) -> ResolveOptions:
    """What may be started, and with what limits: the file's word where it has one, else the environment's."""
    security = declaration.security
    limits = declaration.pods.resources.get("limits", {})
    requests = declaration.pods.resources.get("requests", {})
    plain = Limits()
    return ResolveOptions(
        place="process",
        allow_npx=_either(security.allow_npx, settings.allow_npx),
        allow_uv=_either(security.allow_uv, settings.allow_uv),
        allow_custom_images=_either(security.allow_custom_images, settings.allow_custom_images),
        allow_local_urls=is_loopback(settings.host),
        archon_image=settings.gateway_image,
        internet=_either(security.internet_access, True),
        allow=declaration.packages.allow,
        block=declaration.packages.block,
        strict=settings.packages_strict,
        verify=settings.packages_verify,
        limits=Limits(
            cpu=limits.get("cpu", settings.server_cpu_limit),
            memory=limits.get("memory", settings.server_memory_limit),
            cpu_request=requests.get("cpu", plain.cpu_request),
            memory_request=requests.get("memory", plain.memory_request),
        ),
    )


def _either(said: bool | None, otherwise: bool) -> bool:
    return otherwise if said is None else said

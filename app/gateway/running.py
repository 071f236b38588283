"""A whole gateway, put together: launcher, resolver, catalogue and manager, with or without a configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from prometheus_client import CollectorRegistry

from app.gateway.catalogue.catalogue import Catalogue
from app.gateway.launcher import Endpoint, Launcher
from app.gateway.manager.declaration import Declaration
from app.gateway.manager.manager import Manager
from app.gateway.manager.metrics import ManagerMetrics
from app.gateway.manager.parts import ManagerLimits
from app.gateway.manager.reconciler import Reconciler
from app.gateway.manager.store import MemoryStore, Store
from app.gateway.resolving import ResolveOptions, Resolver
from app.gateway.spec import Limits, Place
from app.gateway.upstream import Upstream
from app.gateway.upstreams import UpstreamOptions, open_upstream
from app.lifecycle import Amiss, Check


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """What holds for all of a gateway."""

    place: Place = "process"
    limits: ManagerLimits = field(default_factory=ManagerLimits)
    upstream: UpstreamOptions = field(default_factory=UpstreamOptions)
    call_seconds: float = 300.0
    look_every: float = 1.0
    """Seconds between two looks whether the configuration file changed."""
    replica_headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Sent to other replicas, which may ask for a token."""


class Gateway:
    """Use as an async context manager, on a running event loop. It closes the launcher that it is given.

    What a configuration file says of security and resources wins over the resolver's options.
    """

    def __init__(
        self,
        launcher: Launcher,
        resolver: Resolver,
        options: GatewayOptions | None = None,
        *,
        config: Path | None = None,
        store: Store | None = None,
        metrics: CollectorRegistry | None = None,
    ) -> None:
        options = options or GatewayOptions()
        self.options = options
        self.launcher = launcher
        self.resolver = resolver
        self.store = store or MemoryStore()
        self.catalogue = Catalogue(call_seconds=options.call_seconds)
        base = resolver.options
        self._base = base
        self.manager = Manager(
            launcher,
            resolver,
            self.catalogue,
            self._open_upstream,
            store=self.store,
            limits=options.limits,
            place=options.place,
            policy=Declaration().policy(base),
            metrics=ManagerMetrics(metrics),
            headers=dict(options.replica_headers),
        )
        self.reconciler = (
            None if config is None else Reconciler(self.manager, config, apply=self._apply, every=options.look_every)
        )
        self._stack = AsyncExitStack()

    @property
    def checks(self) -> dict[str, Check]:
        """What /ready tells of: whether servers can be started, which do not run, and what is wrong with the file."""
        checks: dict[str, Check] = {
            "launcher": self.launcher.check,
            "server store": self.store.ping,
            "servers": self._check_servers,
        }
        if self.reconciler is not None:
            checks["configuration"] = self.reconciler.check
        return checks

    async def open(self) -> None:
        """Take up what ran before and start what is declared. Raises `DeclarationError` for a wrong file."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.launcher.close)
            stack.push_async_callback(self.catalogue.close)
            stack.push_async_callback(self.manager.close)
            await self.manager.open()
            if self.reconciler is not None:
                stack.push_async_callback(self.reconciler.close)
                await self.reconciler.open()
            await self.manager.sweep()
            self._stack = stack.pop_all()

    async def close(self) -> None:
        """End local servers; let go of pods, which are taken up again."""
        await self._stack.aclose()

    async def __aenter__(self) -> Gateway:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _check_servers(self) -> None:
        failed = [status.id for status in self.manager.list() if status.phase == "failed"]
        if failed:
            raise Amiss(f"not running: {', '.join(failed)}")

    def _open_upstream(self, server_id: str, endpoint: Endpoint) -> Upstream:
        return open_upstream(server_id, endpoint, self.options.upstream)

    async def _apply(self, declaration: Declaration) -> None:
        """The file's rules, and its virtual servers."""
        self.resolver.options = declared_rules(self._base, declaration)
        self.catalogue.declare(declaration.virtual)
        await self.manager.obey(declaration.policy(self.resolver.options))


def declared_rules(base: ResolveOptions, declaration: Declaration) -> ResolveOptions:
    """What may be started and with what limits: what the file says, and where it says nothing, what `base` does."""
    said, resources = declaration.security, declaration.pods.resources
    limits, requests = resources.get("limits", {}), resources.get("requests", {})
    return replace(
        base,
        allow_npx=_either(said.allow_npx, base.allow_npx),
        allow_uv=_either(said.allow_uv, base.allow_uv),
        allow_custom_images=_either(said.allow_custom_images, base.allow_custom_images),
        internet=_either(said.internet_access, base.internet),
        allow=(*base.allow, *declaration.packages.allow),
        block=(*base.block, *declaration.packages.block),
        limits=Limits(
            cpu=limits.get("cpu", base.limits.cpu),
            memory=limits.get("memory", base.limits.memory),
            cpu_request=requests.get("cpu", base.limits.cpu_request),
            memory_request=requests.get("memory", base.limits.memory_request),
        ),
    )


def _either(said: bool | None, otherwise: bool) -> bool:
    return otherwise if said is None else said

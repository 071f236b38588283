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
from app.gateway.manager.parts import ManagerLimits, Place
from app.gateway.manager.reconciler import Reconciler
from app.gateway.manager.store import MemoryStore, Store
from app.gateway.resolving import Resolver
from app.gateway.upstream import Upstream
from app.gateway.upstreams import UpstreamOptions, open_upstream
from app.lifecycle import Check


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
    """Use as an async context manager, on a running event loop. It closes the launcher that it is given."""

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
        self._base = resolver.options
        self.manager = Manager(
            launcher,
            resolver,
            self.catalogue,
            self._open_upstream,
            store=self.store,
            limits=options.limits,
            place=options.place,
            policy=Declaration().policy(self._base),
            metrics=ManagerMetrics(metrics),
            headers=dict(options.replica_headers),
        )
        self.reconciler = (
            None if config is None else Reconciler(self.manager, config, apply=self._apply, every=options.look_every)
        )
        self._stack = AsyncExitStack()

    @property
    def checks(self) -> dict[str, Check]:
        """What /ready tells of: the launcher, the store of what shall run, the configuration file."""
        checks: dict[str, Check] = {"launcher": self.launcher.check, "servers": self.store.ping}
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

    def _open_upstream(self, server_id: str, endpoint: Endpoint) -> Upstream:
        return open_upstream(server_id, endpoint, self.options.upstream)

    async def _apply(self, declaration: Declaration) -> None:
        """The file's rules and virtual servers; where it says nothing, the environment's hold."""
        base, said = self._base, declaration.security
        self.resolver.options = replace(
            base,
            allow_npx=base.allow_npx if said.allow_npx is None else said.allow_npx,
            allow_uv=base.allow_uv if said.allow_uv is None else said.allow_uv,
            allow_custom_images=(
                base.allow_custom_images if said.allow_custom_images is None else said.allow_custom_images
            ),
            internet=base.internet if said.internet_access is None else said.internet_access,
        )
        self.catalogue.declare(declaration.virtual)
        await self.manager.obey(declaration.policy(self._base))

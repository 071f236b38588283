"""The manager of external servers: what is wanted is started, what is not is stopped, and all of it is told."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import msgspec

from app.gateway.launcher import Launcher
from app.gateway.manager.admission import check, refused, wanted_of
from app.gateway.manager.audit import audit
from app.gateway.manager.finishing import Finishing
from app.gateway.manager.fleet import Fleet
from app.gateway.manager.launches import Launches
from app.gateway.manager.metrics import ManagerMetrics
from app.gateway.manager.model import SETTLED, Conflict, ManagerError, Refused, ServerStatus, Wanted
from app.gateway.manager.naming import default_name, distinct_name, other_instance, server_id
from app.gateway.manager.parts import ManagerLimits, Parts
from app.gateway.manager.seams import Catalogue, OpenUpstream, Resolver
from app.gateway.manager.server import Server
from app.gateway.manager.shown import differences
from app.gateway.manager.store import MemoryStore, Store, StoreError
from app.gateway.spec import Place, ServerSpec
from app.gateway.upstream import Upstream, UpstreamUnavailable

logger = logging.getLogger("slipway.gateway.manager")

_DECLARED = "configuration"
_LOOK_AGAIN = 0.1


class Manager:
    """Runs external servers. `open` it before use and `close` it after; it owns neither launcher nor resolver."""

    def __init__(
        self,
        launcher: Launcher,
        resolver: Resolver,
        catalogue: Catalogue,
        open_upstream: OpenUpstream,
        *,
        store: Store | None = None,
        limits: ManagerLimits | None = None,
        place: Place = "process",
        policy: str = "",
        metrics: ManagerMetrics | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.store = store or MemoryStore()
        self.limits = limits or ManagerLimits()
        self._metrics = metrics or ManagerMetrics(None)
        self._parts = Parts(
            launcher=launcher,
            launches=Launches(launcher),
            resolver=resolver,
            catalogue=catalogue,
            open_upstream=open_upstream,
            store=self.store,
            limits=self.limits,
            place=place,
            policy=policy,
            headers=headers or {},
            on_outcome=self._metrics.attempted,
        )
        self._fleet = Fleet(self._parts, self._expired)
        self._finishing = Finishing()
        self._unswept: set[str] = set()
        self._metrics.watch(lambda: [server.status().phase for server in self._fleet.servers.values()])

    async def open(self) -> None:
        """Take up what ran before, and begin to start what is missing."""
        await self.store.start()
        self._unswept = {launched.id for launched in await self._parts.launches.open()}
        await self._fleet.open()

    async def sweep(self) -> None:
        """Stop what an earlier life left behind and nobody wants now. Call it when everything declared is known."""
        wanted = {record.instance for record in (await self.store.load()).values()}
        for instance in sorted(self._unswept - wanted):
            with audit("stop", instance, "sweep"), suppress(Exception):
                await self._parts.launcher.stop(instance)
        self._unswept.clear()

    async def close(self) -> None:
        """Let go of every server: local ones end with their launcher, pods run on and are taken up again."""
        await self._finishing.close()
        await self._fleet.close()
        await self._parts.launches.close()
        await self.store.close()

    async def start(
        self,
        name: str | None,
        spec: ServerSpec,
        *,
        by: str = "anonymous",
        ttl: float | None = None,
        replace: bool = False,
    ) -> tuple[ServerStatus, bool]:
        """Have a server run; its status, and whether there was none of that name.

        The same spec again changes nothing but its time to live; another one raises `Conflict`, unless it shall
        `replace` the one that runs. Raises `Refused` for what cannot be started. Returns before it is ready.
        """
        check(name, spec, ttl)
        if name is None:
            name = default_name(spec)
            known = self._fleet.servers.get(server_id(name))
            if known is not None and known.wanted.spec != spec:
                name = distinct_name(server_id(name), spec)
        wanted = wanted_of(name, spec, by=by, ttl=ttl)
        return await self._finishing.to_the_end(self._start(wanted, replace=replace), "start", wanted.id, by)

    async def stop(self, server: str, *, by: str = "anonymous") -> None:
        """End a server for good. Raises `UnknownServer`, and `Conflict` for one that is declared."""
        await self._finishing.to_the_end(self._stop(server, declared=False), "stop", server, by)

    def list(self) -> list[ServerStatus]:
        """Every server, by id."""
        return [self._fleet.servers[key].status() for key in sorted(self._fleet.servers)]

    def get(self, server: str) -> ServerStatus:
        """One server; raises `UnknownServer`."""
        return self._fleet.get(server).status()

    async def settled(self, server: str, seconds: float) -> ServerStatus:
        """The status once it is ready, degraded or failed, or when the time is over."""
        return await self._fleet.until(server, seconds, lambda status: status.phase in SETTLED)

    async def changed(self, server: str, revision: int, seconds: float) -> ServerStatus:
        """The status once it has another revision than that, or when the time is over."""
        return await self._fleet.until(server, seconds, lambda status: status.revision != revision)

    async def logs(self, server: str, *, lines: int = 100, follow: bool = False) -> AsyncIterator[str]:
        """What a server writes to its log; of one that did not start, its last words. Raises `UnknownServer`."""
        found = self._fleet.get(server)
        told = False
        if self._parts.launches.latest(found.instance) is not None:
            async for line in self._parts.launcher.logs(found.instance, lines=lines, follow=follow):
                told = True
                yield line
        if not told:
            for line in found.last_words[-lines:]:
                yield line

    def upstream(self, server: str) -> Upstream:
        """The way to what serves now. Raises `UnknownServer`, and `UpstreamUnavailable` while nothing does."""
        found = self._fleet.get(server)
        if found.running is None:
            status = found.status()
            raise UpstreamUnavailable(status.reason or f"it is {status.phase}", unsent=True)
        return found.running.upstream

    async def health(self, server: str, seconds: float = 5.0) -> tuple[ServerStatus, float | None, str]:
        """The status, how many seconds an answer to a harmless request took (None: there was none), and why not."""
        found = self._fleet.get(server)
        began = time.monotonic()
        try:
            async with asyncio.timeout(seconds):
                await self.upstream(server).list("tools")
        except Exception as error:  # whatever it is, it is no answer
            reason = f"no answer within {seconds:g} seconds" if isinstance(error, TimeoutError) else str(error)
            return found.status(), None, reason
        return found.status(), time.monotonic() - began, ""

    async def declare(self, name: str, spec: ServerSpec) -> None:
        """Have a server run that the configuration file declares; the spec of the file wins. Raises `Refused`."""
        check(name, spec)
        wanted = wanted_of(name, spec, by=_DECLARED, declared=True)
        await self._finishing.to_the_end(self._start(wanted, replace=True), "start", wanted.id, _DECLARED)

    async def withdraw(self, server: str) -> None:
        """Stop a server that the configuration file no longer declares."""
        await self._finishing.to_the_end(self._stop(server, declared=True), "stop", server, _DECLARED)

    def declared(self) -> set[str]:
        """The ids of the servers that were declared."""
        return {key for key, server in self._fleet.servers.items() if server.wanted.source == "declared"}

    async def obey(self, policy: str) -> None:
        """The rules changed: every server is resolved anew under them, and one that may no longer run is stopped."""
        if policy != self._parts.policy:
            self._parts.policy = policy
            for server in self._fleet.servers.values():
                await server.change(server.wanted)

    # From here on: how it is done.

    async def _start(self, wanted: Wanted, *, replace: bool) -> tuple[ServerStatus, bool]:
        async with self._fleet.lock(wanted.id):
            await self._fleet.sync(wanted.id)
            known = self._fleet.servers.get(wanted.id)
            if known is None:
                return await self._begin(wanted), True
            return await self._again(known, wanted, replace=replace), False

    async def _begin(self, wanted: Wanted) -> ServerStatus:
        if len(self._fleet.servers) >= self.limits.servers:
            raise Conflict(f"{self.limits.servers} servers run, which is the most there may be: stop one first")
        wanted = msgspec.structs.replace(wanted, instance=wanted.id)
        if not await self.store.put(wanted, replacing=None):
            raise Conflict(f"somebody else started {wanted.id} at the same moment: look at it, and try again")
        server = self._fleet.add(wanted)
        if refusal := await self._refusal(server):
            await self._remove(server)
            raise refusal
        return server.status()

    async def _again(self, known: Server, wanted: Wanted, *, replace: bool) -> ServerStatus:
        before = known.wanted
        declared = wanted.source == "declared"
        if before.source == "declared" and not declared and before.spec != wanted.spec:
            message = f"{before.id} is declared in the configuration file: change it there, or choose another name"
            raise Conflict(message, differences(before.spec, wanted.spec))
        if before.spec != wanted.spec and not replace:
            message = f"a server {before.id} runs that differs: stop it, choose another name, or ask to replace it"
            raise Conflict(message, differences(before.spec, wanted.spec))
        if before.spec == wanted.spec:
            same = (
                before
                if before.source == "declared" and not declared
                else msgspec.structs.replace(before, source=wanted.source, expires=wanted.expires, name=wanted.name)
            )
            if same != before:
                await self._put(same, known)
                known.wanted = same
                self._fleet.expiry.set(same.id, same.expires)
            known.keep_up()
            return known.status()
        wanted = msgspec.structs.replace(wanted, instance=other_instance(known.instance, wanted.id))
        await self._put(wanted, known)
        self._fleet.expiry.set(wanted.id, wanted.expires)
        await known.change(wanted)
        if refusal := await self._refusal(known):
            await self._put(before, known)
            await known.change(before)
            raise refusal
        return known.status()

    async def _refusal(self, server: Server) -> Refused | None:
        """What a person asked for and cannot have, if that is known soon; what a file declares stays, as failed."""
        if server.wanted.source == "declared":
            return None
        unsure = ("pending", "resolving")
        await self._fleet.until(server.id, self.limits.refuse_seconds, lambda status: status.phase not in unsure)
        return None if server.refusal is None else refused(server.wanted.name, server.refusal)

    async def _put(self, wanted: Wanted, known: Server) -> None:
        """In the place of what is known, which its own task may just be completing with what it was resolved to."""
        before = known.wanted.spec
        for _ in range(3):
            if await self.store.put(wanted, replacing=known.wanted):
                return
            await self._fleet.sync(wanted.id)
            if known.wanted.spec != before:
                break
        raise Conflict(f"somebody else changed {wanted.id} at the same moment: look at it, and try again")

    async def _stop(self, server: str, *, declared: bool) -> None:
        async with self._fleet.lock(server):
            await self._fleet.sync(server)
            found = self._fleet.get(server)
            if found.wanted.source == "declared" and not declared:
                raise Conflict(
                    f"{server} is declared in the configuration file: remove it there, or set enabled: false"
                )
            await self._remove(found)

    async def _remove(self, server: Server) -> None:
        """Where another replica runs it, that one stops it: wait until it has."""
        elsewhere = server.owner is not None
        await self.store.remove(server.id)
        await self._fleet.take_down(server)
        if elsewhere:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.limits.stop_seconds):
                    while await self.store.told(server.id) is not None:  # noqa: ASYNC110 (it is elsewhere)
                        await asyncio.sleep(_LOOK_AGAIN)

    def _expired(self, server: str) -> None:
        self._finishing.begin(self._expire(server), f"expire {server}")

    async def _expire(self, server: str) -> None:
        try:
            with suppress(ManagerError), audit("stop", server, "time to live"):
                async with self._fleet.lock(server):
                    await self._fleet.sync(server)
                    found = self._fleet.get(server)
                    if found.wanted.expires is not None and found.wanted.expires <= time.time():
                        await self._remove(found)
        except StoreError:  # it cannot be forgotten now, and must not live for ever for that
            self._fleet.expiry.set(server, time.time() + self.limits.retry_first)

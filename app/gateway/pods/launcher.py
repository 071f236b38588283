"""Servers as pods: created, watched, replaced when others delete them, and found again by the next gateway."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from typing import Any, Final

from app.gateway.launcher import Launched, LaunchError, UrlEndpoint
from app.gateway.pods.api import Api, inside, pause
from app.gateway.pods.asking import NoPods, PodApi
from app.gateway.pods.known import KnownPods
from app.gateway.pods.labels import created_at, digest_of, name_of, server_of
from app.gateway.pods.manifest import manifest, pod_name
from app.gateway.pods.metrics import PodMetrics
from app.gateway.pods.options import GATEWAY, PodOptions
from app.gateway.pods.reasons import seen, told_by
from app.gateway.pods.server import PodServer
from app.gateway.pods.watching import Change, Told, Watching
from app.gateway.spec import LaunchSpec
from app.gateway.watches import Watches
from app.kubernetes import ApiAway, ApiError, Object
from app.sessions.tasks import stop

logger = logging.getLogger("slipway.gateway.pods")

_QUICK: Final = 3.0
"""Seconds that the cluster has to answer where somebody only asks how it is."""
_STILL: Final = 2.0
"""Seconds for which a cluster that did not answer is not asked again."""
_REMEDY: Final = ": have KUBECONFIG name a cluster that runs, or set MCP_LAUNCHER=process"


class PodLauncher:
    """Implements `Launcher` on the Kubernetes API. Used from one event loop; `close` lets the pods run on."""

    def __init__(self, api: Api, options: PodOptions | None = None, metrics: PodMetrics | None = None) -> None:
        self.options = options or PodOptions()
        self._metrics = metrics or PodMetrics()
        self._metrics.watch(lambda: len(self._known))
        self._pods = PodApi(api, self.options)
        self._servers: dict[str, PodServer] = {}
        self._known = KnownPods(self._pods, self._metrics, self.options.grace)
        self._watches = Watches()
        self._work: set[asyncio.Task[None]] = set()
        self._opening = asyncio.Lock()
        self._away = ""
        self._away_until = 0.0
        self._watching: list[Watching] = []

    async def start(self, spec: LaunchSpec) -> Launched:
        """Raises `LaunchError` in the API server's own words: a quota, a policy, a missing permission."""
        known = self._servers.get(spec.id)
        if known is not None and known.digest == spec.digest() and not known.stopping:
            orphaned = known.spec is None and known.uid is None
            known.spec = spec
            if orphaned:
                await self._moor(known)
            return known.launched()
        if spec.type == "remote":
            endpoint = UrlEndpoint(spec.url or "", spec.transport)
            return Launched(spec.id, "running", spec.digest(), endpoint)
        await self._open()
        server = self._server(spec.id, spec.digest(), spec)
        others = [pod for pod in self._known.of(spec.id) if digest_of(pod, self.options) != server.digest]
        self._servers[spec.id] = server
        if known is not None:
            await known.let_go()
        try:
            await self._moor(server)
        except BaseException:
            if self._servers.get(spec.id) is server:
                del self._servers[spec.id]
            raise
        for pod in others:
            self._begin(self._known.discard(pod), f"delete {name_of(pod)}")
        return server.launched()

    async def stop(self, server_id: str) -> None:
        """Raises `LaunchError` where its pods cannot be deleted."""
        server = self._servers.get(server_id)
        if server is not None:
            server.stopping = True
            await server.let_go()
        await self._open()
        await asyncio.gather(*(self._known.end(pod) for pod in self._known.of(server_id)))
        if server is not None and self._servers.get(server_id) is server:
            del self._servers[server_id]
            self._tell(server)

    async def adopt(self) -> list[Launched]:
        """The pods of an earlier life of this gateway, whether they run or fail."""
        try:
            await self._open()
        except LaunchError as error:
            logger.warning("what runs already is not known: %s", error)
            return []
        found: list[Launched] = []
        for pod in sorted(self._known, key=created_at, reverse=True):
            name, digest = server_of(pod), digest_of(pod, self.options)
            if name not in self._servers and not seen(pod).over:
                server = self._servers[name] = self._server(name, digest, None)
                server.take(pod)
                found.append(server.launched())
        return found

    def watch(self) -> AsyncIterator[Launched]:
        return self._watches.begin()

    def logs(self, server_id: str, *, lines: int = 100, follow: bool = False) -> AsyncIterator[str]:
        server = self._servers.get(server_id)
        if server is None:
            raise LaunchError(f"there is no server {server_id!r}")
        return server.logs(lines, follow=follow)

    async def check(self) -> None:
        """Raises `NoPods` while pods cannot be made, or what becomes of them is not told."""
        await self._open(_QUICK)
        for watching in self._watching:
            if watching.problem:
                raise NoPods("pods are not followed: the Kubernetes API does not answer")
        await self._pods.check()

    async def close(self) -> None:
        await stop(self._work)
        for watching in self._watching:
            await watching.close()
        await asyncio.gather(*(server.let_go() for server in self._servers.values()))
        self._watches.end()
        await self._pods.close()

    # From here on: how it is done.

    async def _open(self, patience: float | None = None) -> None:
        """Know of every pod of this gateway, from now on. Raises `LaunchError`."""
        async with self._opening:
            if self._watching:
                return
            if time.monotonic() < self._away_until:
                raise LaunchError(self._away)
            patience = self.options.patience if patience is None else min(patience, self.options.patience)
            selector = {"labelSelector": f"{GATEWAY}={self.options.gateway}"}
            pods = Watching(self._pods.api, self._pods.path(), selector, Told(self._listed, self._changed))
            warnings = {"fieldSelector": "involvedObject.kind=Pod,type=Warning"}
            told = Told(lambda _: None, self._event)
            events = Watching(self._pods.api, self._pods.path(kind="events"), warnings, told)
            try:
                await pods.open(patience)
            except (ApiError, ApiAway) as error:
                self._away = f"the pods of {self.options.namespace!r} are not known: {error}"
                if isinstance(error, ApiAway):
                    self._away += _REMEDY
                    self._away_until = time.monotonic() + _STILL
                raise LaunchError(self._away) from None
            self._watching.append(pods)
            try:
                await events.open(patience)
                self._watching.append(events)
            except (ApiError, ApiAway) as error:
                logger.warning("reasons that only events tell will be missing: %s", error)
            # A pod that we make when our Deployment is gone must name it too: nothing else would take it along.
            with suppress(LaunchError):  # asked again by whoever makes a pod
                await self._pods.owner()

    async def _moor(self, server: PodServer) -> None:
        """Give a server its pod: one that is there, or a new one."""
        for pod in self._known.of(server.id):
            if digest_of(pod, self.options) == server.digest and not seen(pod).over:
                server.take(pod)
                return
        pod = await self._make(server)
        if not self._known.keep(pod):
            raise LaunchError("its pod was deleted as soon as it was made")
        server.take(pod)

    async def _make(self, server: PodServer) -> Object:
        assert server.spec is not None  # noqa: S101 - only those are made
        taken = {name_of(pod) for pod in self._known}
        for suffix in ("", *server.suffixes()):
            name = pod_name(self.options, server.id, server.digest, suffix)
            if name in taken:
                continue
            wanted = manifest(server.spec, self.options, name, await self._pods.owner())
            try:
                made = await self._pods.create(wanted)
            except LaunchError:
                self._metrics.refused.inc()
                raise
            self._metrics.created.inc()
            if made is not None and digest_of(made, self.options) == server.digest and not seen(made).over:
                return made
        raise LaunchError(f"no name is left for the pod of {server.id!r}: delete those that are being deleted")

    async def _replace(self, server: PodServer) -> None:
        """Another pod for a server whose pod is gone; tried again until there is one."""
        failed = 0
        await pause(min(server.replaced, 6))
        while self._servers.get(server.id) is server and not server.stopping and server.spec is not None:
            others = [pod for pod in self._known.of(server.id) if digest_of(pod, self.options) != server.digest]
            if any(not seen(pod).over for pod in others):
                server.fail("another gateway runs it with other settings")
                return
            try:
                await self._moor(server)
            except LaunchError as error:
                failed += 1
                server.fail(str(error))
                await pause(failed + 3)
            else:
                logger.info("a pod takes the place of one that went", extra={"fields": {"server": server.id}})
                return

    def _listed(self, pods: list[Object]) -> None:
        there = {pod["metadata"]["uid"] for pod in pods}
        for pod in self._known:
            if pod["metadata"]["uid"] not in there:
                self._changed("DELETED", pod)
        for pod in pods:
            self._changed("MODIFIED", pod)

    def _changed(self, change: Change, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        if change == "DELETED":
            self._known.bury(pod)
        else:
            self._known.keep(pod)
        server = self._servers.get(server_of(pod))
        if server is None or server.uid != uid or server.stopping:
            return
        over = change == "DELETED" or server.update(pod)
        if over:
            self._metrics.lost.inc()
            server.lose(deleted=change == "DELETED")
            if change != "DELETED":
                self._begin(self._known.discard(pod), f"delete {name_of(pod)}")
            if server.spec is not None:
                self._begin(self._replace(server), f"replace the pod of {server.id}")

    def _event(self, change: Change, event: Object) -> None:
        uid = str(inside(event, "involvedObject").get("uid"))
        pod = self._known.get(uid) if change != "DELETED" else None
        server = self._servers.get(server_of(pod)) if pod is not None else None
        if server is not None and server.uid == uid:
            server.warn(told_by(event))

    def _server(self, server_id: str, digest: str, spec: LaunchSpec | None) -> PodServer:
        return PodServer(self._pods, server_id, digest, spec, self._tell, self._recycle)

    def _recycle(self, server: PodServer) -> None:
        """What lives on in its pod without us ends with that."""
        pod = self._known.get(server.uid or "")
        if pod is not None and not server.stopping:
            self._begin(self._known.discard(pod), f"recycle {name_of(pod)}")

    def _tell(self, server: PodServer) -> None:
        if self._servers.get(server.id) in (server, None):
            self._watches.tell(server.launched())

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

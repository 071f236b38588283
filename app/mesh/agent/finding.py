"""Who can do it: asked of the registry, remembered while it is away, and found by DNS where that helps."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from app.mesh.agent.directory import Directory, RegistryAway, RegistryRefused
from app.mesh.model import Dependency, Found

logger = logging.getLogger("slipway.agent")

_FRESH_SECONDS = 5.0
_DNS_SECONDS = 2.0
_PATIENCE = 0.5
"""Seconds for which who knows somebody already waits to hear of others."""
_DEFAULT_PORT = 8080
_DEFAULT_TIMEOUT = 30.0

Resolve = Callable[[str, int], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One agent that a call may go to."""

    endpoint: str
    agent: str
    timeout: float
    """Seconds after which a call to the capability has failed, as the agent declares it."""
    degraded: bool = False


@dataclass(slots=True)
class _Known:
    found: list[Found]
    etag: str | None
    asked: float


@dataclass(frozen=True, slots=True)
class _Asking:
    task: asyncio.Task[None]
    began: float


class Finder:
    """Candidates for a capability.

    `service` is the host name of an agent's headless Service, with `{agent}` in it: DNS lists its ready pods even while
    the registry is away. None where there is no such DNS.
    """

    def __init__(
        self,
        directory: Directory | None,
        *,
        service: str | None,
        fresh: float = _FRESH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        resolve: Resolve | None = None,
    ) -> None:
        self._directory = directory
        self._service = service
        self._fresh = fresh
        self._clock = clock
        self._resolve = resolve or _resolve
        self._known: dict[Dependency, _Known] = {}
        self._asking: dict[Dependency, _Asking] = {}
        self._away = ""

    async def candidates(self, need: Dependency, *, anew: bool = False) -> list[Candidate]:
        """Those who can do it, healthy or degraded; `anew` where what is known has just proved to be wrong."""
        known = self._known.get(need)
        if anew or known is None or self._clock() - known.asked > self._fresh:
            if known is not None:
                known.asked = self._clock()  # while the registry is silent, others do not wait for it too
            await self._asked(need, None if known is None else _PATIENCE)
            known = self._known.get(need)
        found = [] if known is None else [_candidate(one) for one in known.found]
        if self._away or not found:
            found = await self._by_name(need, found)
        return found

    async def _asked(self, need: Dependency, patience: float | None) -> None:
        """Ask, once for all who want it at a time. What comes later than their patience serves those after them."""
        now = asyncio.get_running_loop().time()
        asking = self._asking.get(need)
        if asking is None:
            asking = self._asking[need] = _Asking(asyncio.create_task(self._ask(need)), now)
            asking.task.add_done_callback(lambda _: self._asking.pop(need, None))
        left = None if patience is None else max(0.0, asking.began + patience - now)
        done, _ = await asyncio.wait({asking.task}, timeout=left)
        for task in done:
            task.result()

    async def _ask(self, need: Dependency) -> None:
        if self._directory is None:
            return
        known = self._known.get(need)
        try:
            found, etag = await self._directory.discover(need, None if known is None else known.etag)
        except (RegistryAway, RegistryRefused) as error:
            if str(error) != self._away:
                logger.warning("%s; what it said before is used", error)
            self._away = str(error)
            if known is not None:
                known.asked = self._clock()
            return
        self._away = ""
        if found is not None:
            self._known[need] = _Known(found, etag, self._clock())
        elif known is not None:
            known.asked = self._clock()

    async def _by_name(self, need: Dependency, found: list[Candidate]) -> list[Candidate]:
        """What DNS lists for the agents that could do it when the registry was last heard; then for its very name."""
        service = self._service
        if service is None:
            return found
        known = self._known.get(need)
        told = [] if known is None else known.found
        agents = {one.name: (urlsplit(one.endpoint).port or 80, one.timeout) for one in told}
        agents = agents or {need.capability: (_DEFAULT_PORT, _DEFAULT_TIMEOUT)}
        listed: dict[str, Candidate] = {}
        for agent, (port, timeout) in agents.items():
            for address in await self._addresses(service.replace("{agent}", agent), port):
                shown = f"[{address}]" if ":" in address else address
                endpoint = f"http://{shown}:{port}"
                listed[endpoint] = Candidate(endpoint, agent, timeout)
        return list(listed.values()) or found

    async def _addresses(self, host: str, port: int) -> list[str]:
        try:
            async with asyncio.timeout(_DNS_SECONDS):
                return await self._resolve(host, port)
        except (OSError, TimeoutError, UnicodeError):
            return []


def _candidate(found: Found) -> Candidate:
    return Candidate(found.endpoint.rstrip("/"), found.name, found.timeout, found.state != "healthy")


async def _resolve(host: str, port: int) -> list[str]:
    infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))

"""What the registry knows of the agents: read as a whole, now and then, so that a thousand agents cost one list."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final

import aiohttp
import msgspec

logger = logging.getLogger("slipway.operator.directory")

_TIMEOUT = aiohttp.ClientTimeout(total=20, connect=3)
_PAGE: Final = 1000
_SECONDS: Final = 10.0
_AGAIN_SECONDS: Final = 1.0  # between two lists, however many agents go
GONE: Final = "gone"


class Ability(msgspec.Struct, frozen=True):
    name: str


class Registered(msgspec.Struct, frozen=True):
    """One replica of an agent, as the registry lists it."""

    id: str
    name: str
    endpoint: str
    state: str = "healthy"
    capabilities: tuple[Ability, ...] = ()
    metadata: dict[str, str] = {}


class _Page(msgspec.Struct, frozen=True, rename="camel"):
    agents: tuple[Registered, ...]
    next_cursor: str | None = None


class RegistryAway(Exception):
    """The registry cannot be reached, or refuses; the message says which."""


class Registry:
    """A client of the registry's API."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self._headers = {} if token is None else {"authorization": f"Bearer {token}"}
        self._session: aiohttp.ClientSession | None = None

    async def all(self) -> list[Registered]:
        """Every registered replica of every agent. Raises RegistryAway."""
        found: list[Registered] = []
        cursor: str | None = None
        while True:
            query = {"limit": str(_PAGE), **({} if cursor is None else {"cursor": cursor})}
            status, body = await self._request("GET", "/agents", query)
            if status != 200:
                raise RegistryAway(f"{self.url} answers {status}")
            try:
                page = msgspec.json.decode(body, type=_Page)
            except msgspec.DecodeError as error:
                raise RegistryAway(f"{self.url} answers what is no list of agents ({error})") from None
            found.extend(page.agents)
            cursor = page.next_cursor
            if not cursor:
                return found

    async def deregister(self, agent: str) -> bool:
        """Whether the replica is not registered any more. Raises RegistryAway."""
        status, _ = await self._request("DELETE", f"/agents/{agent}", {})
        if status >= 500:
            raise RegistryAway(f"{self.url} answers {status}")
        return status in (204, 404)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _request(self, method: str, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT, headers=self._headers)
        try:
            async with self._session.request(method, f"{self.url}{path}", params=query) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise RegistryAway(f"{self.url} cannot be reached ({error or type(error).__name__})") from None


class Directory:
    """The last list that the registry gave, by agent."""

    def __init__(self, registry: Registry | None, *, seconds: float = _SECONDS) -> None:
        self.registry = registry
        self._seconds = seconds
        self._asked = self._listed = -seconds
        self._known: dict[str, tuple[Registered, ...]] | None = None
        self.away: str | None = None
        """Why the registry cannot be asked at this moment; None where it can, or where there is none."""

    def of(self, namespace: str, name: str) -> tuple[Registered, ...] | None:
        """The replicas of an agent. None when the registry never answered yet, or is away."""
        if self._known is None or self.away is not None:
            return None
        return tuple(
            replica
            for replica in self._known.get(name, ())
            # Agents of one name in two namespaces are two agents.
            if replica.metadata.get("namespace", namespace) == namespace and replica.state != GONE
        )

    async def is_from_after(self, moment: float) -> bool:
        """Whether what is known was asked for after a moment of the monotonic clock. Where it was not, it is asked for
        now, or soon by another look.
        """
        if self._listed < moment and time.monotonic() - self._asked >= _AGAIN_SECONDS:
            await self.refresh()
        return self._listed >= moment

    async def refresh(self) -> set[str]:
        """Ask again. The names of the agents that something changed for; every known one when the registry went."""
        if self.registry is None:
            return set()
        asked = self._asked = time.monotonic()
        before, was_away = self._known or {}, self.away
        try:
            listed = await self.registry.all()
        except RegistryAway as error:
            self._listed = asked
            self.away = str(error)
            if was_away is None:
                logger.warning("the registry is away", extra={"fields": {"reason": self.away}})
                return set(before)
            return set()
        by_name: dict[str, list[Registered]] = {}
        for replica in sorted(listed, key=lambda replica: replica.id):
            by_name.setdefault(replica.name, []).append(replica)
        first = self._known is None
        self._listed = asked
        self._known = {name: tuple(replicas) for name, replicas in by_name.items()}
        self.away = None
        if was_away is not None or first:
            return set(self._known) | set(before)
        return {name for name in {*before, *self._known} if before.get(name) != self._known.get(name)}

    async def follow(self, changed: Callable[[set[str]], None]) -> None:
        """Ask at intervals until cancelled; `changed` is told names."""
        while self.registry is not None:
            changed(await self.refresh())
            await asyncio.sleep(self._seconds)

"""The API, typed and cached. Its errors are tool errors that say what to do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import msgspec

from app.resilience import CircuitOpen, Kept, StaleCache
from app.resilience.http import HttpClient
from app.resilience.upstream import (
    Upstream,
    UpstreamBusy,
    UpstreamDown,
    UpstreamError,
    UpstreamRefused,
    UpstreamWrong,
)
from app.toolsets import ToolFailure
from app.toolsets.war.model import ApiAssignment, ApiPlanet, Envelope, Failure, Statistics, War

DEFAULT_URL = "https://api-hellhub-collective.koyeb.app/api"
_PAGE = 100
_MOST_PAGES = 20
_NOT_FOUND = 404

Data = TypeVar("Data")


class NoSuchThing(ToolFailure):
    """The API does not know it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarLimits:
    """How much is asked of the API, and how long its answers serve."""

    timeout: float = 10.0
    max_bytes: int = 8 * 1024 * 1024
    fresh_seconds: float = 30.0
    stale_seconds: float = 3600.0


class _Of(Generic[Data]):
    """Decoders are made once for each kind of answer; numbers may come as text, for some are too large for a double."""

    def __init__(self, kind: Any) -> None:
        self.decode = cast("Callable[[bytes], Envelope[Data]]", msgspec.json.Decoder(kind, strict=False).decode)


_WAR: _Of[War] = _Of(Envelope[War])
_PLANET: _Of[ApiPlanet] = _Of(Envelope[ApiPlanet])
_PLANETS: _Of[list[ApiPlanet]] = _Of(Envelope[list[ApiPlanet]])
_STATISTICS: _Of[Statistics] = _Of(Envelope[Statistics])
_ORDERS: _Of[list[ApiAssignment]] = _Of(Envelope[list[ApiAssignment]])


class WarClient:
    """The war as the API at `base` tells it."""

    def __init__(self, http: HttpClient, base: str = DEFAULT_URL, limits: WarLimits | None = None) -> None:
        limits = limits or WarLimits()
        self.upstream = Upstream(http, base, timeout=limits.timeout, max_bytes=limits.max_bytes)
        self._kept: StaleCache[str, Any] = StaleCache(
            ttl=limits.fresh_seconds,
            stale=limits.stale_seconds,
            errors=(UpstreamDown, UpstreamBusy, UpstreamWrong, CircuitOpen),
        )

    async def war(self) -> Kept[War]:
        """The war itself."""
        return await self._cached("war", lambda: self._one(_WAR, "/war"))

    async def planets(self) -> Kept[list[ApiPlanet]]:
        """All planets, with owner, sector and campaigns."""
        return await self._cached("planets", self._all_planets)

    async def planet(self, number: int) -> Kept[ApiPlanet]:
        """One planet with everything. Raises `NoSuchThing`."""
        with_these = _including("owner", "initialOwner", "sector", "biome", "effects", "campaign")
        return await self._cached(
            f"planets/{number}", lambda: self._one(_PLANET, f"/planets/{number}", with_these), f"a planet {number}"
        )

    async def galaxy_statistics(self) -> Kept[Statistics]:
        """Totals of the galaxy."""
        return await self._cached("statistics", lambda: self._one(_STATISTICS, "/statistics/galaxy"))

    async def planet_statistics(self, number: int) -> Kept[Statistics]:
        """Totals of one planet. Raises `NoSuchThing`."""
        path = f"/planets/{number}/statistics"
        what = f"statistics of a planet {number}"
        return await self._cached(path, lambda: self._one(_STATISTICS, path), what)

    async def orders(self) -> Kept[list[ApiAssignment]]:
        """The major orders."""
        params = {"limit": str(_PAGE), **_including("tasks", "reward")}
        return await self._cached("orders", lambda: self._one(_ORDERS, "/assignments", params))

    async def _all_planets(self) -> list[ApiPlanet]:
        found: list[ApiPlanet] = []
        with_these = _including("owner", "sector", "campaign")
        for page in range(_MOST_PAGES):
            params = {"start": str(page * _PAGE), "limit": str(_PAGE), "sort[id]": "asc", **with_these}
            envelope = await self._ask(_PLANETS, "/planets", params)
            data = envelope.data or []
            found += data
            total = envelope.pagination.total if envelope.pagination else 0
            if not data or len(found) >= total:
                break
        return found

    async def _one(self, kind: _Of[Data], path: str, params: Mapping[str, str] | None = None) -> Data:
        envelope = await self._ask(kind, path, params)
        if envelope.data is None:
            raise UpstreamWrong("its answer has no data" + _because(envelope.error))
        return envelope.data

    async def _ask(self, kind: _Of[Data], path: str, params: Mapping[str, str] | None = None) -> Envelope[Data]:
        body = await self.upstream.get(path, params)
        try:
            return kind.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UpstreamWrong(f"its answer is not what it should be: {str(error)[:200]}") from None

    async def _cached(self, key: str, fetch: Callable[[], Awaitable[Data]], what: str = "that") -> Kept[Data]:
        try:
            return await self._kept.get(key, fetch)
        except UpstreamRefused as error:
            if error.status == _NOT_FOUND and what != "that":
                raise NoSuchThing(f"The war API knows no {what.removeprefix('a ')}.") from None
            raise _told(error, "Check MCP_WAR_URL, if this stays.") from None
        except UpstreamWrong as error:
            raise _told(error, "Try again later; check MCP_WAR_URL, if this stays.") from None
        except UpstreamError as error:
            raise _told(error, "Try again later.") from None
        except CircuitOpen as error:
            raise ToolFailure(f"The war API failed too often. Try again in {error.retry_after:.0f} s.") from None


def _told(error: UpstreamError, remedy: str) -> ToolFailure:
    return ToolFailure(f"The war API is of no use at present: {error}. {remedy}")


def _because(error: Failure | str | None) -> str:
    if error is None:
        return ""
    details = error if isinstance(error, str) else "; ".join(error.details)
    return f": {details[:200]}"


def _including(*relations: str) -> dict[str, str]:
    """The relations that an answer is to have, as the API's query language says it."""
    return {f"include[{number}]": relation for number, relation in enumerate(relations)}

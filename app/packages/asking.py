"""Asking a registry: each with its own circuit and credentials, one connection pool, answers kept for a while."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from app.packages.facts import NoSuchPackage, Package, PackageError, RegistryAway
from app.packages.registries import Source
from app.resilience import CircuitOpen, StaleCache
from app.resilience.http import HttpClient
from app.resilience.upstream import (
    Upstream,
    UpstreamBusy,
    UpstreamDown,
    UpstreamError,
    UpstreamRefused,
    UpstreamWrong,
)

Value = TypeVar("Value")
_GONE = (404, 410)
_FORBIDDEN = (401, 403)


class AskLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How long a registry is waited for, how much of it is read, and how long its answers are kept."""

    timeout: float = 15.0
    max_bytes: int = 32 * 1024 * 1024
    fresh_seconds: float = 300.0
    stale_seconds: float = 86_400.0


class Asker:
    """GET requests to registries. All of its errors are `PackageError`s that say which package they are about."""

    def __init__(self, client: HttpClient, limits: AskLimits | None = None) -> None:
        self._client = client
        self.limits = limits or AskLimits()
        self._upstreams: dict[tuple[str, str], Upstream] = {}

    def cache(self) -> StaleCache[tuple[str, str], Package]:
        """A cache with these limits: an old answer stands in while the registry is away."""
        return StaleCache(ttl=self.limits.fresh_seconds, stale=self.limits.stale_seconds, errors=(RegistryAway,))

    async def get(self, source: Source, path: str, what: str, *, accept: str = "application/json") -> bytes:
        """The answer of a registry about `what`."""
        try:
            return await self._upstream(source, accept).get(path)
        except UpstreamRefused as error:
            raise _refused(error.status, what, source) from None
        except UpstreamBusy as error:
            raise RegistryAway(f"{source.url} was asked too often for {what}: {error}") from None
        except CircuitOpen:
            raise RegistryAway(f"{source.url} failed too often, and rests: try again soon") from None
        except UpstreamDown as error:
            raise RegistryAway(
                f"{source.url} was asked for {what}, and {error}: check the network, or try later"
            ) from None
        except UpstreamWrong as error:
            raise PackageError(f"{source.url} was asked for {what}, and {error}") from None
        except UpstreamError as error:
            raise RegistryAway(f"{source.url} was asked for {what}, and {error}") from None

    def _upstream(self, source: Source, accept: str) -> Upstream:
        key = (source.url, accept)
        if key not in self._upstreams:
            self._upstreams[key] = Upstream(
                self._client,
                source.url,
                timeout=self.limits.timeout,
                max_bytes=self.limits.max_bytes,
                headers={**source.headers, "accept": accept},
            )
        return self._upstreams[key]


def decoded(body: bytes, kind: type[Value], what: str, source: Source) -> Value:
    """An answer as what it should be; other members are passed over."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise PackageError(
            f"{source.url} was asked for {what}, and its answer is not what it should be: {error}"
        ) from None


def _refused(status: int, what: str, source: Source) -> PackageError:
    if status in _GONE:
        return NoSuchPackage(f"{what} is not in {source.url}: check the name, or which registry it should come from")
    if status in _FORBIDDEN:
        return PackageError(f"{source.url} refuses to tell of {what} (status {status}): give it a token that may read")
    return PackageError(f"{source.url} was asked for {what}, and answered with status {status}")

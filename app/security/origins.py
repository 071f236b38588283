"""Which Host and Origin headers are accepted: parsed whole, compared exactly, never by prefix or suffix."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
EVERY = "*"
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)(?::([0-9]{1,5}))?", re.ASCII)
_ORIGIN = re.compile(r"(https?)://([^/?#@\\]+)", re.ASCII)
_DEFAULT_PORT = {"http": 80, "https": 443}
_REMEMBERED = 1024  # parsed header values; a client that invents names cannot grow it further


@dataclass(frozen=True, slots=True)
class Authority:
    """A host and, where one is written, a port."""

    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Authority | None:
        match = _AUTHORITY.fullmatch(text.lower())
        if match is None:
            return None
        host, port = match[1], int(match[2]) if match[2] else None
        if port is not None and port > 65_535:
            return None
        if host.startswith("[") and _address(host) is None:
            return None
        return cls(host, port)

    @property
    def is_loopback(self) -> bool:
        return self.host in LOOPBACK

    @property
    def is_address(self) -> bool:
        """A literal address: no name server can make it point elsewhere."""
        return _address(self.host) is not None


@dataclass(frozen=True, slots=True)
class Origin:
    scheme: str
    authority: Authority

    @classmethod
    def parse(cls, text: str) -> Origin | None:
        match = _ORIGIN.fullmatch(text.lower())
        authority = Authority.parse(match[2]) if match else None
        return cls(match[1], authority) if match and authority else None

    @property
    def port(self) -> int:
        return self.authority.port or _DEFAULT_PORT[self.scheme]


class OriginPolicy:
    """Accepts Host and Origin headers.

    A server bound to a loopback address answers to loopback names only, unless others are listed. A server bound
    elsewhere answers to every name unless names are listed, but a page may only call it from an origin that is
    listed, from its own address, or from its own name when that name is listed: otherwise any name that is made to
    point at the server would do.
    """

    def __init__(self, *, bound_to: str, hosts: Iterable[str] = (), origins: Iterable[str] = ()) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origin.lower().rstrip("/") for origin in origins)
        self._local_only = is_loopback(bound_to)
        self._seen: dict[tuple[bytes, bytes | None], str | None] = {}

    def refuse(self, host: bytes, origin: bytes | None) -> str | None:
        """Why the request is refused, or None. Header values are remembered, so the usual ones cost a look-up."""
        key = (host, origin)
        if key in self._seen:
            return self._seen[key]
        reason = self._refuse(host.decode("latin-1").strip(), None if origin is None else origin.decode("latin-1"))
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[key] = reason
        return reason

    def _refuse(self, host_text: str, origin_text: str | None) -> str | None:
        host = Authority.parse(host_text)
        if host is None:
            return f"the Host header {host_text[:120]!r} is not a host with an optional port"
        if not self._host_is_allowed(host):
            return f"this server does not answer to the host {host_text[:120]!r}: add it to MCP_ALLOWED_HOSTS"
        if origin_text is None:
            return None
        origin = Origin.parse(origin_text.strip())
        if origin is None:
            if EVERY in self._origins:
                return None
            return f"the origin {origin_text[:120]!r} is not accepted: give one like https://app.example.org"
        if not self._origin_is_allowed(origin, host):
            return f"the origin {origin_text[:120]!r} may not call this server: add it to MCP_ALLOWED_ORIGINS"
        return None

    def _listed(self, host: Authority) -> bool:
        return host.host in self._hosts or (host.port is not None and f"{host.host}:{host.port}" in self._hosts)

    def _host_is_allowed(self, host: Authority) -> bool:
        if EVERY in self._hosts or self._listed(host):
            return True
        if self._local_only:
            return host.is_loopback
        return not self._hosts or host.is_loopback or host.is_address

    def _origin_is_allowed(self, origin: Origin, host: Authority) -> bool:
        written = f"{origin.scheme}://{origin.authority.host}"
        port = origin.authority.port
        if EVERY in self._origins or (written if port is None else f"{written}:{port}") in self._origins:
            return True
        if self._local_only and origin.authority.is_loopback:
            return True
        same = origin.authority.host == host.host and origin.port == (host.port or _DEFAULT_PORT[origin.scheme])
        return same and (host.is_loopback or host.is_address or self._listed(host))


def is_loopback(host: str) -> bool:
    """Whether an address to bind to is reached from this machine only."""
    if host.lower() == "localhost":
        return True
    address = _address(host)
    return address is not None and address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None

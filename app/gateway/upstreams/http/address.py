"""Where a server is, and what never changes in a request's head: checked once, so that nothing can be slipped in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?")
_OURS = frozenset(
    (
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "accept",
        "accept-encoding",
        "content-type",
        "upgrade",
        "mcp-session-id",
        "mcp-protocol-version",
        "mcp-method",
        "mcp-name",
        "last-event-id",
    )
)
_SECURE = {"https": True, "http": False, "wss": True, "ws": False}


@dataclass(frozen=True, slots=True)
class Address:
    """One address, taken apart."""

    secure: bool
    host: str
    port: int
    authority: str
    """The value of the Host header."""
    target: str
    """The path with the query."""

    @classmethod
    def of(cls, url: str) -> Address:
        """Raises `ValueError` that says what is wrong with the address."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ValueError(f"the server's address is wrong ({error})") from None
        secure = _SECURE.get(parts.scheme)
        if secure is None:
            raise ValueError(f"the server's address begins with {parts.scheme!r}: use one of {', '.join(_SECURE)}")
        if not parts.hostname:
            raise ValueError("the server's address has no host")
        if "@" in parts.netloc:
            raise ValueError("the server's address has a user in it: give an Authorization header instead")
        host = parts.hostname.encode("idna").decode() if not parts.hostname.isascii() else parts.hostname
        shown = f"[{host}]" if ":" in host else host
        usual = 443 if secure else 80
        query = f"?{quote(parts.query, safe=_SAFE)}" if parts.query else ""
        return cls(
            secure=secure,
            host=host,
            port=port or usual,
            authority=shown if port in (None, usual) else f"{shown}:{port}",
            target=(quote(parts.path, safe=_SAFE) or "/") + query,
        )

    @property
    def base(self) -> str:
        """The address of the server itself."""
        return f"{'https' if self.secure else 'http'}://{self.authority}"

    def joined(self, reference: str) -> Address:
        """What the server means by another address; raises `ValueError` if that is on another server."""
        other = Address.of(urljoin(self.base + self.target, reference))
        if (other.secure, other.host, other.port) != (self.secure, self.host, self.port):
            raise ValueError(f"it names an address on another server ({other.base}), which is not followed")
        return other


_SAFE = "/:?@!$&'()*+,;=-._~%[]"


def header_lines(headers: Mapping[str, str]) -> bytes:
    """Headers of one's own as they go over the wire; raises `ValueError` that names the one that may not be."""
    lines: list[bytes] = []
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} cannot be the name of a header")
        if name.lower() in _OURS:
            raise ValueError(f"the header {name!r} is the gateway's own to set")
        lines.append(b"%b: %b\r\n" % (name.encode(), header_value(name, value)))
    return b"".join(lines)


def header_value(name: str, value: str) -> bytes:
    """One value as it goes over the wire; raises `ValueError` without the value, which may be a secret."""
    written = value.strip().encode()
    if written and not _VALUE.fullmatch(written):
        raise ValueError(f"the value of the header {name!r} has characters that a header must not have")
    return written

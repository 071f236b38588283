"""Where Redis is, read from one URL: a server, a server behind TLS, or the master that Sentinels name."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

_FORMS = (
    "redis://[user:password@]host[:6379][/db], rediss:// for TLS, "
    "redis+sentinel://[user:password@]host[:26379][,host[:26379]…]/service[/db] or rediss+sentinel://, unix:///socket"
)
_OPTIONS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "sentinel_username", "sentinel_password", "db"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """A parsed Redis URL. Neither `repr` nor `str` shows a password."""

    hosts: tuple[tuple[str, int], ...] = ()
    service: str | None = None
    """The name under which the Sentinels at `hosts` know the master; None for a plain server."""
    path: str | None = None
    """A Unix socket."""
    db: int = 0
    tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    options: dict[str, str] = field(default_factory=dict[str, str], repr=False)

    @classmethod
    def parse(cls, url: str) -> RedisAddress:
        """Read a URL. Raises ValueError that says what is wrong and never repeats the password."""
        scheme, colon, rest = url.partition("://")
        tls, base = scheme.startswith("rediss"), scheme.replace("rediss", "redis", 1)
        if not colon or base not in {"redis", "redis+sentinel", "unix"}:
            raise ValueError(f"Redis URL with the scheme {scheme[:20]!r} is not understood: write {_FORMS}")
        # Several hosts are no single authority to urlsplit's port: the rest is read by hand.
        parts = urlsplit(f"//{rest}")
        options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
        unknown = sorted(set(options) - _OPTIONS)
        if unknown:
            raise ValueError(f"Redis URL option {unknown[0]!r} is not known: use one of {', '.join(sorted(_OPTIONS))}")
        login, _, hosts = parts.netloc.rpartition("@")
        username, _, password = login.partition(":")
        segments = [unquote(segment) for segment in parts.path.split("/") if segment]
        user, secret = unquote(username) or None, unquote(password) or None
        if base == "unix":
            db = _number("db", options.pop("db", "0"))
            return cls(path=parts.path, db=db, options=options, username=user, password=secret)
        sentinel = base == "redis+sentinel"
        if sentinel and not segments:
            raise ValueError(f"Redis URL names no Sentinel service after the hosts: write {_FORMS}")
        service = segments.pop(0) if sentinel else None
        db = segments[0] if segments else options.pop("db", "0")
        addresses = tuple(_host(host, 26379 if sentinel else 6379) for host in hosts.split(","))
        if not sentinel and len(addresses) > 1:
            raise ValueError(f"Redis URL names {len(addresses)} hosts, which only Sentinels may be: write {_FORMS}")
        return cls(
            hosts=addresses,
            service=service,
            db=_number("db", db),
            tls=tls,
            options=options,
            username=user,
            password=secret,
        )

    def __str__(self) -> str:
        if self.path:
            return f"unix socket {self.path}"
        hosts = ",".join(f"{host}:{port}" for host, port in self.hosts)
        through = f"{self.service} of the Sentinels " if self.service else ""
        return f"{through}{hosts}{' over TLS' if self.tls else ''}"


def _host(text: str, default_port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    try:
        port = parts.port
    except ValueError:
        raise ValueError(f"Redis URL has the host {text!r} with a port that is not a number from 0 to 65535") from None
    return parts.hostname or "localhost", default_port if port is None else port


def _number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"Redis URL has {name} {text!r}, which is not a number from 0 up")
    return int(text)

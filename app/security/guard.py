"""Who may come in: every request and every WebSocket passes here once, before any transport sees it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from app.protocol.calls import ANONYMOUS, Caller
from app.security.origins import OriginPolicy
from app.security.tokens import BearerTokens

Headers = Iterable[tuple[bytes, bytes]]


class Refusal(Exception):
    """A request that is not let in: an HTTP status, what to tell the client, and a word for the metrics."""

    def __init__(self, status: int, reason: str, message: str, *, challenge: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.challenge = challenge  # the WWW-Authenticate header of a 401


class Admission(NamedTuple):
    """Who was let in, and the Origin header of a browser that asked for it."""

    caller: Caller
    origin: bytes | None


class Guard:
    """Checks Host, Origin and the bearer token, in this order."""

    def __init__(self, origins: OriginPolicy, tokens: BearerTokens | None = None) -> None:
        self._origins = origins
        self._tokens = tokens if tokens is not None and len(tokens) else None

    @property
    def wants_token(self) -> bool:
        """Whether callers have to prove who they are."""
        return self._tokens is not None

    def admit(self, headers: Headers, *, public: bool = False) -> Admission:
        """Who calls, or `Refusal`. A public path asks for no token; Host and Origin are checked everywhere."""
        host = origin = authorization = None
        for name, value in headers:
            if name == b"host":
                if host is not None:
                    raise Refusal(400, "host", "there is more than one Host header: send one")
                host = value
            elif name == b"origin":
                if origin is not None:
                    raise Refusal(400, "origin", "there is more than one Origin header: send one")
                origin = value
            elif name == b"authorization":
                authorization = value
        if host is None:
            raise Refusal(400, "host", "there is no Host header: send one")
        reason = self._origins.refuse(host, origin)
        if reason is not None:
            raise Refusal(403, "origin" if origin else "host", reason)
        if public or self._tokens is None:
            return Admission(ANONYMOUS, origin)
        return Admission(_identify(self._tokens, authorization), origin)


def _identify(tokens: BearerTokens, authorization: bytes | None) -> Caller:
    if authorization is None:
        raise Refusal(
            401,
            "token",
            "a token is needed: send the header Authorization: Bearer …",
            challenge='Bearer realm="slipway"',
        )
    caller = tokens.caller(authorization)
    if caller is None:
        challenge = 'Bearer realm="slipway", error="invalid_token"'
        raise Refusal(401, "token", "the token in the Authorization header is not accepted", challenge=challenge)
    return caller

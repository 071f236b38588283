"""Who may do what: configured bearer tokens where there are any, and the registrations' own."""

from __future__ import annotations

from app.asgi import Scope
from app.mesh.model import REGISTER_SCOPE
from app.mesh.problems import Problem
from app.mesh.registry.service import Requester
from app.protocol.calls import Caller
from app.security.tokens import BearerTokens

_CHALLENGE = (b"www-authenticate", b'Bearer realm="slipway-registry"')


class Access:
    """Reads `Authorization` and the peer's address. With no token configured, everyone may read and register."""

    def __init__(self, tokens: BearerTokens | None) -> None:
        self._tokens = tokens if tokens is not None and len(tokens) else None

    @property
    def wants_token(self) -> bool:
        return self._tokens is not None

    def requester(self, scope: Scope) -> Requester:
        """Who asks, whether a token is needed for it or not."""
        token, caller = self._bearer(scope)
        client = scope.get("client")
        peer = client[0] if client else None
        if caller is not None:
            return Requester(caller.subject if REGISTER_SCOPE in caller.scopes else "", None, peer)
        return Requester("", token, peer)

    def registrant(self, scope: Scope) -> Requester:
        """Who wants to register. Raises `Problem`."""
        who = self.requester(scope)
        if self._tokens is not None and not who.subject:
            self.reader(scope)
            detail = f"this token lacks the scope {REGISTER_SCOPE}: use one that has it"
            raise Problem(403, "This token may not register", detail)
        return who

    def reader(self, scope: Scope) -> None:
        """Raises `Problem` for one who may not even look."""
        if self._tokens is None:
            return
        token, caller = self._bearer(scope)
        if caller is None:
            said = "a token is needed" if token is None else "the token is not accepted"
            raise Problem(401, "A token is needed", f"{said}: send the header Authorization: Bearer …")

    def challenge(self, problem: Problem) -> tuple[tuple[bytes, bytes], ...]:
        """The headers that a refusal needs besides its body."""
        return (_CHALLENGE,) if problem.status == 401 else ()

    def _bearer(self, scope: Scope) -> tuple[str | None, Caller | None]:
        value: bytes | None = None
        for name, found in scope["headers"]:
            if name == b"authorization":
                value = found
        if value is None:
            return None, None
        scheme, _, token = value.strip().partition(b" ")
        if scheme.lower() != b"bearer":
            return None, None
        return token.strip().decode("latin-1"), None if self._tokens is None else self._tokens.caller(value)

"""Bearer tokens: whom a token stands for, and what it may do. Only keyed digests are kept."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable

from app.protocol.calls import Caller

MIN_LENGTH = 16


class TokenFormatError(ValueError):
    """An entry is not `token`, `token:subject` or `token:subject:scope scope`; the message does not show it."""


class BearerTokens:
    """The accepted tokens. Each entry is `token`, `token:subject` or `token:subject:scope scope`."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._key = secrets.token_bytes(32)
        self._callers: dict[bytes, tuple[bytes, Caller]] = {}
        for number, entry in enumerate(entries, start=1):
            token, caller = _parse(entry, number)
            digest = self._digest(token.encode())
            if digest in self._callers:
                raise TokenFormatError(f"token {number} of MCP_AUTH_TOKENS is there twice: remove one")
            self._callers[digest] = (digest, caller)

    def __len__(self) -> int:
        return len(self._callers)

    def caller(self, authorization: bytes) -> Caller | None:
        """The caller of an Authorization header's value, or None when it does not hold an accepted token."""
        scheme, _, token = authorization.strip().partition(b" ")
        if scheme.lower() != b"bearer":
            return None
        digest = self._digest(token.strip())
        found = self._callers.get(digest)
        if found is None or not hmac.compare_digest(found[0], digest):
            return None
        return found[1]

    def _digest(self, token: bytes) -> bytes:
        # Keyed by a secret of this process: what the look-up's timing tells says nothing about any token.
        return hashlib.blake2b(token, key=self._key, digest_size=32).digest()


def _parse(entry: str, number: int) -> tuple[str, Caller]:
    token, _, rest = entry.strip().partition(":")
    subject, _, scopes = rest.partition(":")
    if len(token) < MIN_LENGTH:
        raise TokenFormatError(f"token {number} of MCP_AUTH_TOKENS has fewer than {MIN_LENGTH} characters")
    if not token.isascii() or any(character.isspace() for character in token):
        raise TokenFormatError(f"token {number} of MCP_AUTH_TOKENS has a space or a character outside ASCII")
    return token, Caller(subject=subject.strip() or f"token-{number}", scopes=frozenset(scopes.split()))

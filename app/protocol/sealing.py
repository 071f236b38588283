"""`requestState`: what a server remembers between two rounds of a request, kept by the client but sealed against it."""

import base64
import hashlib
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from app.protocol.errors import INVALID_PARAMS, ProtocolError

DEFAULT_TTL = 600.0
MAX_STATE_BYTES = 64 * 1024
_NONCE = 12
_KEY_ID = 4


class Sealed(msgspec.Struct, array_like=True):
    """What is remembered: the answers gathered so far, and what the handler wants to keep."""

    expires: float
    answers: dict[str, Any]
    state: Any = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Sealed).decode


class StateSealer:
    """Seals and opens `requestState`. Replicas with the same keys open each other's; the first key seals.

    A sealed state opens only for the caller, the method and the parameters it was made for, and only until it expires.
    """

    def __init__(
        self, keys: Sequence[bytes | str], *, ttl: float = DEFAULT_TTL, clock: Callable[[], float] = time.time
    ) -> None:
        if not keys:
            raise ValueError("no key to seal requestState with: give at least one, or use StateSealer.ephemeral()")
        self._keys = {_key_id(secret): secret for secret in map(_derive, keys)}
        self._ttl = ttl
        self._clock = clock

    @classmethod
    def ephemeral(cls) -> "StateSealer":
        """A sealer whose states only this process opens."""
        return cls([os.urandom(32)])

    def __repr__(self) -> str:
        return f"StateSealer({len(self._keys)} keys)"

    def seal(self, answers: dict[str, Any], state: Any, *, subject: str, method: str, digest: bytes) -> str:
        """The opaque text to hand to the client."""
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        key_id, secret = next(iter(self._keys.items()))
        nonce = os.urandom(_NONCE)
        payload = _encode(Sealed(self._clock() + self._ttl, answers, state))
        if len(payload) > MAX_STATE_BYTES:
            raise ProtocolError(INVALID_PARAMS, "The answers so far are too large to carry on: send shorter ones.")
        sealed = ChaCha20Poly1305(secret).encrypt(nonce, payload, _binding(subject, method, digest))
        return base64.urlsafe_b64encode(key_id + nonce + sealed).decode()

    def open(self, token: str, *, subject: str, method: str, digest: bytes) -> Sealed:
        """What was sealed; raises `ProtocolError` for what was altered, is another request's, or has expired."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

        try:
            raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
            secret = self._keys[raw[:_KEY_ID]]
            nonce = raw[_KEY_ID : _KEY_ID + _NONCE]
            opened = ChaCha20Poly1305(secret).decrypt(nonce, raw[_KEY_ID + _NONCE :], _binding(subject, method, digest))
            sealed = _decode(opened)
        except (ValueError, KeyError, InvalidTag, msgspec.DecodeError):
            raise _refusal("is not one that this server gave for this request") from None
        if sealed.expires < self._clock():
            raise _refusal("has expired")
        return sealed


def digest_of(*parts: object) -> bytes:
    """A digest of a request's salient parameters, the same however the client formats its JSON."""
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).digest()


def _refusal(why: str) -> ProtocolError:
    return ProtocolError(INVALID_PARAMS, f"The requestState {why}: send the request again without it.")


def _derive(key: bytes | str) -> bytes:
    secret = key.encode() if isinstance(key, str) else key
    return hashlib.sha256(b"slipway requestState\0" + secret).digest()


def _key_id(secret: bytes) -> bytes:
    return hashlib.sha256(b"id\0" + secret).digest()[:_KEY_ID]


def _binding(subject: str, method: str, digest: bytes) -> bytes:
    return b"\0".join((method.encode(), hashlib.sha256(subject.encode()).digest(), digest))

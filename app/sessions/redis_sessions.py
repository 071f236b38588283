"""A session as Redis keeps it: the fields of a hash, and what of them has changed since they were read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from app.sessions.store import Session


class _Document(msgspec.Struct):
    """What of a session changes at its handshake only."""

    revision: str
    owner: str
    client_info: Any
    client_capabilities: Any
    created: float


_encode = msgspec.json.Encoder().encode
_decode_document = msgspec.json.Decoder(_Document).decode


Saved: TypeAlias = tuple[str | None, bool, frozenset[str], int]
"""Log level, initialized, subscriptions, and a hash of the rest."""


_NEW: Saved = (None, False, frozenset(), 0)


@dataclass(slots=True, kw_only=True)
class StoredSession(Session):
    """A session, with what Redis held of it when it was last read or written, and until when that may be relied on."""

    saved: Saved = _NEW
    until: float = 0.0


def session_fields(session: Session) -> list[str | bytes]:
    """The fields of a new session's hash, each followed by its value."""
    return ["initialized", "0", *changes(session)[0]]


def stored(session: Session) -> StoredSession:
    """A copy that knows what Redis holds of it."""
    return StoredSession(
        id=session.id,
        revision=session.revision,
        owner=session.owner,
        client_info=session.client_info,
        client_capabilities=session.client_capabilities,
        log_level=session.log_level,
        subscriptions=set(session.subscriptions),
        initialized=session.initialized,
        created=session.created,
        saved=state(session),
    )


def state(session: Session) -> Saved:
    """What of a session may change, as it is now."""
    return session.log_level, session.initialized, frozenset(session.subscriptions), hash(_document(session))


def changes(session: Session) -> tuple[list[str | bytes], list[str]]:
    """The fields to set with their values, and the fields to delete: what others changed meanwhile is not touched."""
    saved: Saved = session.saved if isinstance(session, StoredSession) else _NEW
    log_level, initialized, subscriptions, rest = saved
    put: list[str | bytes] = []
    document = _document(session)
    if hash(document) != rest:
        put += ["doc", document]
    if session.log_level is not None and session.log_level != log_level:
        put += ["log_level", session.log_level]
    if session.initialized != initialized:
        put += ["initialized", "1" if session.initialized else "0"]
    for uri in session.subscriptions - subscriptions:
        put += [f"s:{uri}", "1"]
    return put, [f"s:{uri}" for uri in subscriptions - session.subscriptions]


def _document(session: Session) -> bytes:
    return _encode(
        _Document(session.revision, session.owner, session.client_info, session.client_capabilities, session.created)
    )


def session_from(session_id: str, fields: dict[bytes, bytes]) -> StoredSession:
    """The session that the fields of its hash tell of."""
    document = _decode_document(fields[b"doc"])
    level = fields.get(b"log_level")
    session = StoredSession(
        id=session_id,
        revision=document.revision,
        owner=document.owner,
        client_info=document.client_info,
        client_capabilities=document.client_capabilities,
        log_level=level.decode() if level is not None else None,
        subscriptions={name[2:].decode() for name in fields if name.startswith(b"s:")},
        initialized=fields[b"initialized"] == b"1",
        created=document.created,
    )
    session.saved = state(session)
    return session

"""Where the next page begins: told to the client, kept nowhere, so that any replica can go on."""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

import msgspec

from app.toolsets.documents.errors import Refused
from app.toolsets.documents.store import Id, as_id
from app.toolsets.documents.values import Document, plain, typed

_MOST_CHARACTERS = 4_096
_MOST_SKIPPED = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """After the document with an `_id`, and then so many further on."""

    after: Id | None = None
    skip: int = 0


class _Written(msgspec.Struct, array_like=True):
    asked: str
    after: msgspec.Raw
    skip: int


def digest_of(name: str, wanted: Document, sort: Document) -> str:
    """What tells one question from another."""
    asked = msgspec.json.encode([name, wanted, sort])
    return hashlib.blake2b(asked, digest_size=9).hexdigest()


def written_cursor(cursor: Cursor, asked: str) -> str:
    """The cursor as text."""
    after = msgspec.Raw(msgspec.json.encode(plain(cursor.after)))
    return base64.urlsafe_b64encode(msgspec.json.encode(_Written(asked, after, cursor.skip))).decode()


def read_cursor(text: str, asked: str) -> Cursor:
    """The cursor of this question. Raises `Refused` for one of another question, or of none."""
    if len(text) <= _MOST_CHARACTERS:
        try:
            written = msgspec.json.decode(base64.b64decode(text.encode(), altchars=b"-_", validate=True), type=_Written)
            after: object = typed(msgspec.json.decode(written.after), "cursor")
        except (binascii.Error, ValueError, msgspec.MsgspecError, Refused):
            pass
        else:
            known = after is None or as_id(after) is not None
            if written.asked == asked and known and 0 <= written.skip <= _MOST_SKIPPED:
                return Cursor(after=as_id(after), skip=written.skip)
    raise Refused("cursor does not belong to this collection, filter and sort: send them as before, or no cursor.")

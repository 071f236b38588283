"""Ids as bytes that sort as the ids do: numbers, then text, then object ids."""

from __future__ import annotations

from typing import Any, cast

from app.toolsets.documents.ordering import ID, NUMBER, TEXT
from app.toolsets.documents.store import Id, as_id
from app.toolsets.documents.values import LEAST_INTEGER, Document, ObjectId, array_of

MOST_LOOKED_UP = 500


def key_of_id(identity: Id) -> bytes:
    """The key of a document with that `_id`."""
    if isinstance(identity, str):
        return bytes((TEXT,)) + identity.encode()
    if isinstance(identity, ObjectId):
        return bytes((ID,)) + bytes.fromhex(identity.digits)
    return bytes((NUMBER,)) + (identity - LEAST_INTEGER).to_bytes(8, "big")


def id_of(key: bytes) -> Id:
    """The `_id` of the document with that key."""
    kind, rest = key[0], key[1:]
    if kind == TEXT:
        return rest.decode()
    if kind == ID:
        return ObjectId(rest.hex())
    return int.from_bytes(rest, "big") + LEAST_INTEGER


def keys_wanted(wanted: Document) -> list[bytes] | None:
    """The only keys that a filter can match, where it says so; None where every document has to be looked at."""
    if "_id" not in wanted:
        return None
    condition: Any = wanted["_id"]
    named = [condition]
    if isinstance(condition, dict):
        operators = cast("Document", condition)
        named = [operators["$eq"]] if "$eq" in operators else array_of(operators.get("$in"))
    if named is None or len(named) > MOST_LOOKED_UP:
        return None
    ids = [as_id(value) for value in named]
    known = [identity for identity in ids if identity is not None]
    return [key_of_id(identity) for identity in known] if len(known) == len(named) else None

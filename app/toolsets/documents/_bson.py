"""Between our values, BSON and JSON. Imported only where MongoDB is used."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import bson
import msgspec
from bson import json_util
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS

from app.toolsets.documents.values import Document, ObjectId, plain

CODEC: CodecOptions[Document] = CodecOptions(
    tz_aware=True, tzinfo=UTC, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
"""Dates with their time zone, and no error for those that Python cannot hold."""


def to_bson(value: Any) -> Any:
    """Our value as pymongo takes it."""
    if isinstance(value, dict):
        return {name: to_bson(entry) for name, entry in cast("Document", value).items()}
    if isinstance(value, list):
        return [to_bson(entry) for entry in cast("list[Any]", value)]
    return bson.ObjectId(value.digits) if isinstance(value, ObjectId) else value


def from_bson(value: Any) -> Any:
    """What pymongo gave as our value; of a type that we do not have, its Extended JSON."""
    if isinstance(value, dict):
        return {name: from_bson(entry) for name, entry in cast("Document", value).items()}
    if isinstance(value, list):
        return [from_bson(entry) for entry in cast("list[Any]", value)]
    if value is None or type(value) in (str, bool) or isinstance(value, datetime):
        return value  # bson.Code is text as well
    if isinstance(value, int):
        return int(value)  # bson.Int64 is one, too
    if isinstance(value, float):
        return float(value)
    if isinstance(value, bson.ObjectId):
        return ObjectId(str(value))
    if isinstance(value, DatetimeMS):
        return {"$date": {"$numberLong": str(int(value))}}
    return json_util.default(value, json_util.RELAXED_JSON_OPTIONS)


def json_of(document: Document) -> bytes:
    """A document as JSON."""
    return msgspec.json.encode(plain(from_bson(document)))

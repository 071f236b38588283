"""What goes wrong between us and MongoDB, in our words."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

import pymongo
from bson.errors import InvalidDocument
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DocumentTooLarge,
    DuplicateKeyError,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from app.toolsets.documents.errors import Refused, StoreAway, TookTooLong
from app.toolsets.documents.store import DuplicateId

logger = logging.getLogger("slipway.documents")

NOT_IMPLEMENTED = frozenset({59, 72, 238})
"""No such command, invalid options, not implemented: what servers other than MongoDB answer."""
EXISTS = 48
_UNAUTHORIZED = frozenset({13, 18})
_INVALID = 121
_DUPLICATE = 11000


@contextmanager
def told(seconds: float) -> Generator[None]:
    """Bound what runs inside, and raise our own errors."""
    try:
        with pymongo.timeout(seconds):
            yield
    except (ExecutionTimeout, NetworkTimeout):
        raise TookTooLong(seconds) from None
    except DuplicateKeyError as error:
        raise Refused(f"Another document has the same {_fields(error.details)}: send another value.") from None
    except BulkWriteError as error:
        raise _of_bulk(error) from None
    except (DocumentTooLarge, InvalidDocument):
        raise Refused("A document cannot be stored: it is larger than 16 MiB, or nested too deep.") from None
    except OperationFailure as error:
        raise _of_operation(error) from None
    except PyMongoError as error:
        if error.timeout and not isinstance(error, ServerSelectionTimeoutError):
            raise TookTooLong(seconds) from None
        kind = type(error).__name__
        if not isinstance(error, ConnectionFailure):
            logger.warning("the document store failed: %s", kind)
        raise StoreAway from None


def _of_bulk(error: BulkWriteError) -> Exception:
    """Inserting in order stops at the first that fails."""
    details = cast("dict[str, Any]", error.details)
    failures = cast("list[dict[str, Any]]", details.get("writeErrors") or [{}])
    first = failures[0]
    position = int(first.get("index", 0))
    if first.get("code") == _DUPLICATE:
        if list(first.get("keyPattern", {"_id": 1})) == ["_id"]:
            return DuplicateId(position)
        return Refused(f"documents[{position}] has the same {_fields(first)} as another one: send another value.")
    if first.get("code") == _INVALID:
        return Refused(f"documents[{position}] does not fit the validator of the collection.")
    return Refused(f"The database refused documents[{position}] (code {first.get('code')}).")


def _of_operation(error: OperationFailure) -> Exception:
    if error.code in _UNAUTHORIZED:
        logger.warning("the document store does not let us in: code %s", error.code)
        return Refused("The database does not allow the server's user to do this. Whoever runs the server can.")
    if error.code == _INVALID:
        return Refused("The document would not fit the validator of the collection.")
    message = str((error.details or {}).get("errmsg", "no reason given"))
    return Refused(f"The database refused this: {message[:300]}")


def _fields(details: object) -> str:
    known: object = cast("dict[str, Any]", details).get("keyPattern") if isinstance(details, dict) else None
    return ", ".join(cast("dict[str, Any]", known)) if isinstance(known, dict) else "unique value"

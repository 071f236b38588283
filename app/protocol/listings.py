"""Lists of what a server offers, encoded once a revision and kept until something changes."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import UNSET, Raw, UnsetType

from app.protocol.adapt import definition_for
from app.protocol.content import Definition
from app.protocol.errors import INVALID_PARAMS, ProtocolError
from app.protocol.revisions import Revision

DEFAULT_PAGE_SIZE = 1_000


class Offered(Protocol):
    """Anything with a definition."""

    @property
    def definition(self) -> Definition:
        """What the list shows."""
        ...


class ListPolicy(msgspec.Struct, frozen=True):
    """How lists are paged, and how long clients may keep them."""

    page_size: int = DEFAULT_PAGE_SIZE
    ttl_ms: int = 60_000
    cache_scope: str = "public"


class Listing:
    """One list: `member` is its name in the result, `key` tells its entries apart (for cursors)."""

    def __init__(
        self,
        member: str,
        fetch: Callable[[], Sequence[Any]],
        key: Callable[[Any], str],
        generation: Callable[[], int],
        policy: ListPolicy,
        server_meta: Raw,
        *,
        show: Callable[[Any, Revision], object] | None = None,
    ) -> None:
        self._member = member
        self._fetch = fetch
        self._key = key
        self._generation = generation
        self._policy = policy
        self._server_meta = server_meta
        self._show = show or _definition_of
        self._encoded: dict[tuple[str, str | None], Raw] = {}
        self._seen = -1

    def page(self, revision: Revision, cursor: str | UnsetType) -> Raw:
        """The encoded result for one page; raises `ProtocolError` for a cursor that is not one of this list."""
        generation = self._generation()
        if generation != self._seen:
            self._encoded.clear()
            self._seen = generation
        wanted = None if cursor is UNSET else cursor
        page = self._encoded.get((revision.name, wanted))
        if page is None:
            page = self._encode(revision, wanted)
            self._encoded[revision.name, wanted] = page
        return page

    def _encode(self, revision: Revision, cursor: str | None) -> Raw:
        entries = self._fetch()
        start = 0 if cursor is None else self._after(entries, cursor)
        chosen = entries[start : start + self._policy.page_size]
        result: dict[str, object] = {}
        if revision.stateless:
            result["resultType"] = "complete"
        result[self._member] = [self._show(entry, revision) for entry in chosen]
        if start + len(chosen) < len(entries):
            result["nextCursor"] = _cursor(self._key(chosen[-1]))
        if revision.stateless:
            result |= {
                "ttlMs": self._policy.ttl_ms,
                "cacheScope": self._policy.cache_scope,
                "_meta": self._server_meta,
            }
        return Raw(msgspec.json.encode(result))

    def _after(self, entries: Sequence[Any], cursor: str) -> int:
        last = _parse(cursor)
        for index, entry in enumerate(entries):
            if self._key(entry) == last:
                return index + 1
        raise ProtocolError(
            INVALID_PARAMS, f"The cursor does not belong to this list of {self._member}: begin again without one."
        )


def _definition_of(entry: Offered, revision: Revision) -> object:
    return definition_for(entry.definition, revision)


def _cursor(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode()


def _parse(cursor: str) -> str | None:
    try:
        return base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None

"""Who can do something: lookups by capability, version range and tags, answered from the directory's index."""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import msgspec

from app.mesh.model import Found
from app.mesh.registry.directory import Directory, Entry, Offer, Shelf
from app.mesh.versions import Range, parse_range, parse_version

DEFAULT_LIMIT, MAX_LIMIT = 100, 1_000
_FRESH = 1.0  # seconds for which an answer is given again, with the loads that it has
_REMEMBERED = 2_048


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for."""

    capability: str
    version: str = "*"
    tags: tuple[str, ...] = ()
    limit: int = DEFAULT_LIMIT

    def check(self) -> None:
        """Raises `VersionError` for a range that is none."""
        parse_range(self.version)


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of `GET /discover`, healthy agents first."""

    agents: list[Found]
    etag: str
    total: int
    """How many there are in all."""
    stale: bool = False
    """The store is away: this is what was known before."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """An answer as it is sent."""

    etag: str
    body: bytes
    version: int
    until: float


class Discovery:
    """Answers lookups; the same one is answered once until something changes."""

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.monotonic) -> None:
        self._directory = directory
        self._run = secrets.token_hex(4)  # versions count from 1 in each run
        self._clock = clock
        self._kept: dict[Query, Encoded] = {}
        self._encoder = msgspec.json.Encoder()

    def find(self, query: Query, *, stale: bool) -> Encoded:
        """Raises `VersionError` for a range that is none."""
        shelf = self._directory.shelf(query.capability)
        version = 0 if shelf is None else shelf.version
        kept = self._kept.get(query)
        now = self._clock()
        if kept is not None and kept.version == version and now < kept.until and not stale:
            return kept
        wanted = parse_range(query.version)
        # Who asks one replica again learns by the tag whether anything but loads is different.
        etag = f'"{self._run}-{version}{"s" if stale else ""}"'
        total, agents = (0, list[Found]()) if shelf is None else _search(shelf, wanted, query)
        body = self._encoder.encode(Answer(agents, etag, total, stale))
        made = Encoded(etag, body, version, now + _FRESH)
        if not stale and shelf is not None:
            if len(self._kept) >= _REMEMBERED:
                self._kept.clear()
            self._kept[query] = made
        return made

    def search(self, query: Query) -> list[Found]:
        """The same, not encoded."""
        shelf = self._directory.shelf(query.capability)
        return [] if shelf is None else _search(shelf, parse_range(query.version), query)[1]


def _search(shelf: Shelf, wanted: Range, query: Query) -> tuple[int, list[Found]]:
    offers = [offer for offer in shelf.tagged(query.tags) if wanted.matches(parse_version(offer.ability.version))]
    healthy = sum(len(offer.healthy) for offer in offers)
    total = healthy + sum(len(offer.degraded) for offer in offers)
    found = _some(offers, healthy, query.limit)
    # Callers that take the first one take one with little to do.
    found.sort(key=lambda pair: pair[1].load or 0.0)
    if len(found) < query.limit:
        degraded = ((offer, entry) for offer in offers for entry in offer.degraded.values())
        found.extend(islice(degraded, query.limit - len(found)))
    return total, [shown(offer, entry) for offer, entry in found]


def _some(offers: list[Offer], healthy: int, limit: int) -> list[tuple[Offer, Entry]]:
    """Up to `limit` healthy agents, from another place each time: not all callers get the same ones."""
    if healthy <= limit:
        return [(offer, entry) for offer in offers for entry in offer.healthy.values()]
    found: list[tuple[Offer, Entry]] = []
    for skipped in (random.randrange(healthy), 0):  # noqa: S311 it spreads load and hides nothing
        left = skipped
        for offer in offers:
            if left >= len(offer.healthy):
                left -= len(offer.healthy)
                continue
            taken = islice(offer.healthy.values(), left, left + limit - len(found))
            found.extend((offer, entry) for entry in taken)
            left = 0
            if len(found) == limit:
                return found
    return found


def shown(offer: Offer, entry: Entry) -> Found:
    """An agent as a lookup shows it."""
    record, ability = entry.record, offer.ability
    return Found(
        id=record.id,
        name=record.name,
        endpoint=record.endpoint,
        capability=ability.name,
        version=ability.version,
        timeout=ability.timeout,
        tags=ability.tags,
        load=entry.load,
        state=entry.state.word,
    )

"""Requests that are sent twice are answered once: the header Idempotency-Key."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.gateway.rest.problems import RestError
from app.resilience.flight import SingleFlight

Answer = TypeVar("Answer")

_KEPT_SECONDS = 24 * 3600.0
_MOST_KEPT = 10_000
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class _Kept(Generic[Answer]):
    body: str
    answer: Answer
    until: float


class IdempotentAnswers(Generic[Answer]):
    """The answers of a day by caller and key. Failures are not kept: those may be tried again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept: OrderedDict[tuple[str, str], _Kept[Answer]] = OrderedDict()
        self._flights: SingleFlight[tuple[str, str, str], Answer] = SingleFlight()
        self._clock = clock

    async def once(self, caller: str, key: str | None, body: bytes, answer: Callable[[], Awaitable[Answer]]) -> Answer:
        """What `answer` returns, or returned to the same request before; another request with the key is refused."""
        if key is None:
            return await answer()
        if not 0 < len(key) <= _LONGEST:
            raise RestError(422, f"Idempotency-Key has {len(key)} characters: give 1 to {_LONGEST}")
        digest = hashlib.sha256(body).hexdigest()
        kept = self._kept.get((caller, key))
        if kept is None or kept.until < self._clock():
            return await self._flights.run((caller, key, digest), lambda: self._first(caller, key, digest, answer))
        if kept.body != digest:
            raise RestError(422, f"Idempotency-Key {key!r} was used for another request: give each request its own")
        return kept.answer

    async def _first(self, caller: str, key: str, digest: str, answer: Callable[[], Awaitable[Answer]]) -> Answer:
        given = await answer()
        self._kept[caller, key] = _Kept(digest, given, self._clock() + _KEPT_SECONDS)
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return given

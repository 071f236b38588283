"""A short cache that answers with what it had while the source is in trouble."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.resilience.flight import SingleFlight

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
Value_co = TypeVar("Value_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Kept(Generic[Value_co]):
    """A value, how many seconds ago it was fetched, and the error that kept us from fetching it anew, if any."""

    value: Value_co
    age: float
    error: Exception | None = None

    @property
    def stale(self) -> bool:
        """Whether it should have been fetched anew and could not be."""
        return self.error is not None


@dataclass(slots=True)
class _Entry(Generic[Value]):
    value: Value
    fetched: float
    error: Exception | None = None
    retry_at: float = 0.0


class StaleCache(Generic[Key, Value]):
    """Keeps a value for `ttl` seconds, and for `stale` more in case that fetching it anew raises one of `errors`.

    After such an error the old value is served for `pause` seconds before the next try, so that a slow failure does
    not slow everybody. Fetches of one key are one fetch. At most `size` values are kept, the longest unused goes.
    """

    def __init__(
        self,
        *,
        ttl: float,
        stale: float = 0.0,
        errors: tuple[type[Exception], ...] = (),
        size: int = 256,
        pause: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ttl = ttl
        self._stale = stale
        self._errors = errors
        self._size = size
        self._pause = pause
        self._clock = clock
        self._entries: OrderedDict[Key, _Entry[Value]] = OrderedDict()
        self._flights: SingleFlight[Key, Kept[Value]] = SingleFlight()

    async def get(self, key: Key, fetch: Callable[[], Awaitable[Value]]) -> Kept[Value]:
        """The value of `key`, fetched where it is not kept. Raises what `fetch` raises where there is no old value."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
            now = self._clock()
            if now - entry.fetched < self._ttl or now < entry.retry_at:
                return Kept(entry.value, now - entry.fetched, entry.error)
        return await self._flights.run(key, lambda: self._refresh(key, fetch))

    async def _refresh(self, key: Key, fetch: Callable[[], Awaitable[Value]]) -> Kept[Value]:
        try:
            value = await fetch()
        except self._errors as error:
            entry = self._entries.get(key)
            now = self._clock()
            if entry is None or now - entry.fetched >= self._ttl + self._stale:
                raise
            entry.error = error
            entry.retry_at = min(now + self._pause, entry.fetched + self._ttl + self._stale)
            return Kept(entry.value, now - entry.fetched, error)
        self._entries[key] = _Entry(value, self._clock())
        self._entries.move_to_end(key)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)
        return Kept(value, 0.0)

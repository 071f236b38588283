"""Who is told when something happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

News = TypeVar("News")


class Listeners(Generic[News]):
    """Functions that are called with each piece of news, in the order in which they were added."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[News], None]] = []

    def __iter__(self) -> Iterator[Callable[[News], None]]:
        """Those who listen now; some may leave meanwhile."""
        return iter(tuple(self._listeners))

    def add(self, listener: Callable[[News], None]) -> Callable[[], None]:
        """Tell the listener, until the function that this returns is called; calling that again does nothing."""
        self._listeners.append(listener)
        here = True

        def leave() -> None:
            nonlocal here
            if here:
                here = False
                self._listeners.remove(listener)

        return leave

    def tell(self, news: News) -> None:
        """Tell all."""
        for listener in self:
            listener(news)

"""Those who want to be told of a launcher's servers."""

from __future__ import annotations

import asyncio
from typing import Self

from app.gateway.launcher import Launched


class Watches:
    """All who watch one launcher."""

    def __init__(self) -> None:
        self._watches: set[Watch] = set()

    def begin(self) -> Watch:
        """Another one, told of every change from now on."""
        watch = Watch(self._watches)
        self._watches.add(watch)
        return watch

    def tell(self, launched: Launched) -> None:
        for watch in self._watches:
            watch.tell(launched)

    def end(self) -> None:
        """The launcher is closed."""
        for watch in list(self._watches):
            watch.end()


class Watch:
    """Every change from when it was made, until the launcher is closed."""

    def __init__(self, among: set[Watch]) -> None:
        self._among = among
        self._told: asyncio.Queue[Launched | None] = asyncio.Queue()

    def tell(self, launched: Launched) -> None:
        self._told.put_nowait(launched)

    def end(self) -> None:
        self._told.put_nowait(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Launched:
        told = await self._told.get()
        if told is None:
            self._among.discard(self)
            raise StopAsyncIteration
        return told

    async def aclose(self) -> None:
        self._among.discard(self)

"""How long a question may take and how much it may hold, where it is answered in this process."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from app.toolsets.documents.errors import Refused, TookTooLong
from app.toolsets.documents.values import Document

MOST_HELD = 200_000


class Budget:
    """Begins to run when it is made."""

    def __init__(self, seconds: float, *, most_held: int = MOST_HELD) -> None:
        self.seconds = seconds
        self._until = time.monotonic() + seconds
        self._most = most_held
        self._held = 0

    @property
    def left(self) -> float:
        """Seconds, 0 or more."""
        return max(0.0, self._until - time.monotonic())

    @property
    def spent(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._until

    def check(self) -> None:
        """Raise `TookTooLong` once the time is over."""
        if self.spent:
            raise TookTooLong(self.seconds)

    def hold(self) -> None:
        """Count one value kept in memory. Raises `Refused` when there are too many."""
        self._held += 1
        if self._held > self._most:
            raise Refused(
                f"This would sort or group more than {self._most} values: narrow it with a filter or $match first."
            )

    def holding(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The same documents, counted."""
        for document in documents:
            self.hold()
            yield document

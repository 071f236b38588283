"""One answer's worth of documents."""

from __future__ import annotations

import msgspec

from app.toolsets.documents.errors import Refused
from app.toolsets.documents.store import Batch, Extent, Id


class Page:
    """Takes documents until the extent is reached."""

    def __init__(self, extent: Extent) -> None:
        self._extent = extent
        self._documents: list[msgspec.Raw] = []
        self._size = 0
        self._last: Id | None = None
        self._more = False

    def add(self, document: bytes, identity: Id | None) -> bool:
        """Whether it still went in; once one did not, no more are wanted. Raises `Refused` where not even one does."""
        if not self._documents and len(document) > self._extent.size:
            raise Refused(
                f"The next document has {len(document)} bytes, and an answer may have {self._extent.size}. "
                "Name the fields you need in projection, or with $project."
            )
        if len(self._documents) >= self._extent.documents or self._size + len(document) > self._extent.size:
            self._more = True
            return False
        self._documents.append(msgspec.Raw(document))
        self._size += len(document)
        self._last = identity
        return True

    def batch(self) -> Batch:
        """What went in."""
        return Batch(documents=self._documents, last=self._last, more=self._more)

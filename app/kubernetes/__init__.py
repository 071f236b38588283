"""The Kubernetes API, for those who ask it: who we are there, one request at a time, and how it refuses."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]
"""Any Kubernetes object, as its JSON reads."""


class ApiError(Exception):
    """A refusal of the API server: its status, its one-word reason and its message."""

    def __init__(self, status: int, reason: str, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.after = after
        """Seconds to wait before it is asked again."""


class ApiAway(Exception):
    """The API server cannot be reached, or does not answer in time."""

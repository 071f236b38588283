"""How the registry says no: one exception, answered as `application/problem+json`."""

from __future__ import annotations

import msgspec

_SHOWN = 80


class Problem(Exception):
    """A request that is refused; `detail` names the field, the value and the remedy."""

    def __init__(
        self, status: int, title: str, detail: str, *, field: str | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.field = field
        self.retry_after = retry_after

    def encode(self) -> bytes:
        told: dict[str, object] = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.field is not None:
            told["field"] = self.field
        if self.retry_after is not None:
            told["retryAfter"] = self.retry_after
        return msgspec.json.encode(told)


def invalid(field: str, value: object, remedy: str) -> Problem:
    """A field whose value cannot be taken."""
    return Problem(422, "This cannot be registered", f"{field} is {shown(value)}: {remedy}", field=field)


def shown(value: object) -> str:
    """A value as a message shows it: short, however long it is."""
    text = value if isinstance(value, str) else str(value)
    rest = len(text) - _SHOWN
    return repr(text) if rest <= 0 else f"{text[:_SHOWN]!r} and {rest} characters more"

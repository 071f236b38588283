"""Why something cannot be done, told to whoever called a tool."""

from __future__ import annotations

import msgspec

from app.protocol.handlers import ToolFailure

_SHOWN = 80


class Refused(ToolFailure):
    """What was asked cannot be done; the message says why and what to send instead."""


class StoreAway(ToolFailure):
    """The database does not answer; nothing is wrong with what was asked."""

    def __init__(self) -> None:
        super().__init__("The document store does not answer. Nothing is wrong with what you sent: try again later.")


class TookTooLong(ToolFailure):
    """The limit of time passed."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"The documents were not found within {seconds:g} s. "
            "Ask for less: name an _id, narrow the filter, or leave the sort out."
        )


def shown(value: object) -> str:
    """A value as it appears in a message: JSON, cut short."""
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, ValueError, msgspec.MsgspecError):
        text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"

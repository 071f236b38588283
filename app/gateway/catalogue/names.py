"""The names under which one server's offers stand beside those of others, and what is wrong with them.

A server's id is a DNS label and so has no underscore: in `time_get_current_time`, the first underscore ends it.
"""

from __future__ import annotations

import hashlib
import re

SEPARATOR = "_"
LONGEST = 128
"""What the protocol allows a tool's name."""
LONGEST_FOR_MODELS = 64
"""What the interfaces of several models allow a tool's name."""

_LEGAL = re.compile(r"[A-Za-z0-9_.-]+")
_ILLEGAL = re.compile(r"[^A-Za-z0-9_.-]")
_DIGEST = 8


def prefixed(server_id: str, name: str) -> str:
    """The name beside those of other servers: legal, and the same every time."""
    whole = f"{server_id}{SEPARATOR}{name}"
    if len(whole) <= LONGEST and _LEGAL.fullmatch(whole):
        return whole
    digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    return f"{_ILLEGAL.sub('_', whole)[: LONGEST - _DIGEST - 1]}_{digest}"


def problem_with(server_id: str, name: str) -> str | None:
    """What a person should know of the name, as a sentence."""
    whole = prefixed(server_id, name)
    if whole != f"{server_id}{SEPARATOR}{name}":
        return (
            f"The tool {name[:LONGEST]!r} cannot be called that beside others' "
            f"(letters, digits, '_', '-' and '.', {LONGEST} at most): it is served as '{whole}'."
        )
    if len(whole) > LONGEST_FOR_MODELS:
        return (
            f"The name '{whole}' is longer than the {LONGEST_FOR_MODELS} characters that some models' interfaces "
            "allow: give the server a shorter id."
        )
    return None

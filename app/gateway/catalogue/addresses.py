"""The addresses of resources beside those of other servers: as they are where only one has them, else marked."""

from __future__ import annotations

import re
from functools import lru_cache

_MARK = "slipway."
_END = "+"
_LONGEST = 8192
_EXPRESSION = re.compile(r"\{([^{}]*)\}")


def mark(server_id: str, uri: str) -> str:
    """The address with its server's id in its scheme: `slipway.docs+file:///a`."""
    return f"{_MARK}{server_id}{_END}{uri}"


def without_mark(uri: str) -> tuple[str, str] | None:
    """The server's id and its own address, or None for an address without a mark."""
    if not uri.startswith(_MARK):
        return None
    server_id, end, own = uri[len(_MARK) :].partition(_END)
    return (server_id, own) if end and server_id and own else None


def scheme_of(uri: str) -> str:
    """What stands before the colon; empty where there is none."""
    return uri.partition(":")[0].lower() if ":" in uri else ""


@lru_cache(maxsize=4096)
def _pattern(template: str) -> re.Pattern[str]:
    """A template of RFC 6570 as far as it can be matched: each expression is any text, one with '+' or '#' slashes too.

    A query's expression may be missing altogether.
    """
    parts: list[str] = []
    at = 0
    for expression in _EXPRESSION.finditer(template):
        parts.append(re.escape(template[at : expression.start()]))
        at = expression.end()
        inner = expression[1]
        if inner[:1] in ("+", "#") or inner.endswith("*"):
            parts.append(".*?")
        elif inner[:1] in ("?", "&"):
            parts.append("(?:[?&].*?)?")
        else:
            parts.append("[^/?#]*?" if inner[:1] != "/" else ".*?")
    parts.append(re.escape(template[at:]))
    return re.compile("".join(parts), re.DOTALL)


def matches(template: str, uri: str) -> bool:
    """Whether the address is one that the template makes."""
    return len(uri) <= _LONGEST and _pattern(template).fullmatch(uri) is not None


def literal_length(template: str) -> int:
    """How much of a template is fixed: of two that match, the longer one is meant."""
    return len(_EXPRESSION.sub("", template))

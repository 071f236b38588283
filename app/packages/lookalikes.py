"""Names that look like a known one and are not: the usual way in which a wrong package gets installed."""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.packages.names import Ecosystem

# Known beside those of the templates: what people mean when they mistype.
_POPULAR: dict[Ecosystem, tuple[str, ...]] = {
    "npm": (
        "@modelcontextprotocol/sdk",
        "@modelcontextprotocol/inspector",
        "@modelcontextprotocol/server-gdrive",
        "@modelcontextprotocol/server-postgres",
        "@modelcontextprotocol/server-redis",
        "@modelcontextprotocol/server-brave-search",
        "@modelcontextprotocol/server-gitlab",
        "@azure/mcp",
        "@cloudflare/mcp-server-cloudflare",
        "@heroku/mcp-server",
        "@hubspot/mcp-server",
        "@stripe/mcp",
        "figma-developer-mcp",
        "mcp-remote",
        "mcp-proxy",
        "mcp-server-kubernetes",
        "supergateway",
    ),
    "pypi": (
        "mcp",
        "fastmcp",
        "mcp-proxy",
        "arxiv-mcp-server",
        "chroma-mcp",
        "markitdown-mcp",
        "mcp-server-motherduck",
        "mcp-server-sentry",
    ),
}
_GLYPHS = str.maketrans({"0": "o", "1": "l", "i": "l", "5": "s", "3": "e", "8": "b", "2": "z"})
_SHORT = 5
_LONG = 12


class Lookalikes:
    """Knows names, and tells which of them another one is close to."""

    def __init__(self, known: Iterable[tuple[Ecosystem, str]] = ()) -> None:
        self._known: dict[Ecosystem, set[str]] = {kind: set(names) for kind, names in _POPULAR.items()}
        for ecosystem, name in known:
            self._known[ecosystem].add(name)

    def meant(self, ecosystem: Ecosystem, name: str) -> str | None:
        """The known name that somebody may have meant by one that there is not."""
        return next((other for other in sorted(self._known[ecosystem]) if _resembles(name, other)), None)

    def warning(self, ecosystem: Ecosystem, name: str) -> str | None:
        """What is suspicious about a name; None for a known one, and for one that resembles none."""
        known = self._known[ecosystem]
        if name in known:
            return None
        for other in sorted(known):
            if why := _resembles(name, other):
                return f"{name} {why} {other}, a known package: make sure that it is the one you mean"
        if name in self._known["pypi" if ecosystem == "npm" else "npm"]:
            return f"{name} is known in the other registry, not in this one: make sure that it is the one you mean"
        return None


def _resembles(name: str, known: str) -> str:
    if _bare(name) == _bare(known):
        return "differs only in separators or its scope from"
    if _drawn(name) == _drawn(known):
        return "looks the same as"
    scope, _, rest = name.rpartition("/")
    known_scope, _, known_rest = known.rpartition("/")
    if known_scope and rest == known_rest and scope != known_scope and (not scope or _near(scope, known_scope)):
        return "has the name, but not the scope, of"
    if scope == known_scope and scope:
        return "is one slip from" if _near(rest, known_rest) else ""
    return "is one slip from" if _near(name, known) else ""


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name)


def _drawn(name: str) -> str:
    return _bare(name.replace("rn", "m").replace("vv", "w").replace("cl", "d").translate(_GLYPHS))


def _near(one: str, other: str) -> bool:
    """Whether few enough letters differ: one, or two in long names; none in short ones, which all are near to some."""
    shorter = min(len(one), len(other))
    if shorter < _SHORT:
        return False
    allowed = 2 if shorter >= _LONG else 1
    return abs(len(one) - len(other)) <= allowed and 0 < _distance(one, other) <= allowed


def _distance(one: str, other: str) -> int:
    """Letters put in, left out, changed, or swapped with their neighbour."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        following = [i]
        for j, b in enumerate(other, 1):
            cost = min(row[j] + 1, following[j - 1] + 1, row[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            following.append(cost)
        before, row = row, following
    return row[-1]

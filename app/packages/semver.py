"""npm's versions and ranges: compared and matched as npm does, prereleases only where a range names their release."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import total_ordering

_NUMBER = r"0|[1-9]\d{0,15}"
_IDENTIFIER = r"[0-9A-Za-z-]+"
_VERSION = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})"
    rf"(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?(?:\+({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?"
)
_PART = rf"(?:{_NUMBER}|[xX*])"
_PARTIAL = re.compile(
    rf"[v=]*({_PART})(?:\.({_PART})(?:\.({_PART})(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?(?:\+[0-9A-Za-z.-]+)?)?)?"
)
_COMPARATOR = re.compile(r"(<=|>=|<|>|=|\^|~>|~)?\s*(\S+)")
_LONGEST = 256
_FROM = ">=."  # the lower bound of what was written in part: `1.2` begins with 1.2.0, or with its first prerelease


class NotSemver(ValueError):
    """A text that is no version, or no range; the message says which."""


@total_ordering
class Version:
    """A semantic version. Build metadata does not count."""

    __slots__ = ("_key", "prerelease", "release", "text")

    def __init__(self, text: str) -> None:
        match = _VERSION.fullmatch(text) if len(text) <= _LONGEST else None
        if match is None:
            raise NotSemver(f"{text[:80]!r} is not a version like 1.2.3")
        self.text = text
        self.release = (int(match[1]), int(match[2]), int(match[3]))
        self.prerelease = _identifiers(match[4])
        self._key = _key(self.release, self.prerelease)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key == other._key

    def __lt__(self, other: Version) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"Version({self.text!r})"


Key = tuple[tuple[int, int, int], tuple[tuple[int, int, str], ...]]
_Bound = tuple[str, tuple[int, int, int], tuple[int | str, ...]]
# Greater than every list of identifiers: a release comes after its prereleases.
_RELEASED = ((2, 0, ""),)


class Range:
    """Which versions are meant: `^1.2`, `>=1 <3 || 4.x`, `1.2 - 1.4`, `*`."""

    def __init__(self, text: str) -> None:
        if len(text) > _LONGEST:
            raise NotSemver(f"a range of {len(text)} characters: at most {_LONGEST} are read")
        self.text = text
        self._sets = [_comparators(part.strip()) for part in text.split("||")]

    def __contains__(self, version: Version) -> bool:
        return any(_all_hold(bounds, version) for bounds in self._sets)

    def holds(self, version: Version) -> bool:
        """Whether a version is in the range, prereleases counted as any other: for rules, that none slips through."""
        key = _key(version.release, version.prerelease)
        return any(all(_holds(bound, key, prereleases=True) for bound in bounds) for bounds in self._sets)

    def highest(self, versions: Iterable[Version]) -> Version | None:
        """The newest version that is in the range."""
        return max((version for version in versions if version in self), default=None)

    def __repr__(self) -> str:
        return f"Range({self.text!r})"


def _identifiers(text: str | None) -> tuple[int | str, ...]:
    if not text:
        return ()
    found: list[int | str] = []
    for part in text.split("."):
        if part.isdigit():
            if len(part) > 1 and part[0] == "0":
                raise NotSemver(f"{text[:80]!r} has a number with a leading zero")
            found.append(int(part))
        else:
            found.append(part)
    return tuple(found)


def _key(release: tuple[int, int, int], prerelease: tuple[int | str, ...]) -> Key:
    if not prerelease:
        return release, _RELEASED
    return release, tuple((0, part, "") if isinstance(part, int) else (1, 0, part) for part in prerelease)


def _all_hold(bounds: list[_Bound], version: Version) -> bool:
    key = _key(version.release, version.prerelease)
    if not all(_holds(bound, key) for bound in bounds):
        return False
    # A prerelease is meant only by who names a prerelease of the same release.
    return not version.prerelease or any(prerelease and release == version.release for _, release, prerelease in bounds)


def _holds(bound: _Bound, key: Key, *, prereleases: bool = False) -> bool:
    operator, release, prerelease = bound
    limit = _key(release, (0,) if prereleases and operator == _FROM else prerelease)
    if operator in (">=", _FROM):
        return key >= limit
    if operator == "<":
        return key < limit
    if operator == ">":
        return key > limit
    return key <= limit if operator == "<=" else key == limit


def _comparators(text: str) -> list[_Bound]:
    hyphen = re.fullmatch(r"(\S+)\s+-\s+(\S+)", text)
    if hyphen:
        return [*_expand(">=", hyphen[1]), *_expand("<=", hyphen[2])]
    bounds: list[_Bound] = []
    position = 0
    while position < len(text):
        match = _COMPARATOR.match(text, position)
        if match is None:
            raise NotSemver(f"{text[:80]!r} is not a range like ^1.2 or >=1 <2")
        bounds += _expand(match[1] or "", match[2])
        position = match.end()
        while position < len(text) and text[position].isspace():
            position += 1
    return bounds


def _expand(operator: str, text: str) -> list[_Bound]:
    """One comparator as plain bounds. `1.2` is every 1.2.x, `^` keeps the first number that is not zero."""
    match = _PARTIAL.fullmatch(text)
    if match is None:
        raise NotSemver(f"{text[:80]!r} is not a version in a range: write it like 1.2.3, 1.2 or 1.x")
    parts: list[int] = []
    numbers = [group for group in match.groups()[:3] if group is not None]
    for group in numbers:
        if group in "xX*":
            break
        parts.append(int(group))
    if any(group not in "xX*" for group in numbers[len(parts) :]):
        raise NotSemver(f"{text[:80]!r} has a number after an x, which leaves open what is meant")
    prerelease = _identifiers(match[4]) if len(parts) == 3 else ()
    low = (*parts, 0, 0, 0)[:3]
    release = (low[0], low[1], low[2])
    if operator in ("^", "~", "~>", "", "="):
        return _between(operator, parts, release, prerelease)
    if not parts:
        # `<*` and `>*` mean nothing; `<=*` and `>=*` mean all.
        return [] if operator in (">=", "<=") else [("<", (0, 0, 0), (0,))]
    if len(parts) == 3:
        return [(operator, release, prerelease)]
    return _of_partial(operator, parts, release)


def _of_partial(operator: str, parts: list[int], release: tuple[int, int, int]) -> list[_Bound]:
    after = _next(parts, len(parts) - 1)
    if operator == ">":
        return [(_FROM, after, ())]
    if operator == "<=":
        return [("<", after, (0,))]
    return [(operator, release, (0,)) if operator == "<" else (_FROM, release, ())]


def _between(
    operator: str, parts: list[int], release: tuple[int, int, int], prerelease: tuple[int | str, ...]
) -> list[_Bound]:
    if not parts:
        return []
    if operator in ("", "=") and len(parts) == 3:
        return [("=", release, prerelease)]
    if operator == "^":
        # The first number that is not zero may not change; of zeros alone, the last that was written.
        kept = next((index for index, number in enumerate(parts) if number), len(parts) - 1)
    else:
        kept = min(len(parts) - 1, 1)
    return [(">=" if len(parts) == 3 else _FROM, release, prerelease), ("<", _next(parts, kept), (0,))]


def _next(parts: list[int], index: int) -> tuple[int, int, int]:
    raised = [*parts[:index], parts[index] + 1, 0, 0]
    return raised[0], raised[1], raised[2]

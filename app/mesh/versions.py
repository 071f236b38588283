"""Versions and ranges of them, after Semantic Versioning and the range syntax that npm made common."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

LONGEST_VERSION = 64
LONGEST_RANGE = 256

_NUMBER = r"0|[1-9]\d{0,8}"
_IDENTIFIER = r"(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)"
_VERSION = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?",
    re.ASCII,
)
_PART = rf"{_NUMBER}|[xX*]"
_COMPARATOR = re.compile(
    rf"(\^|~|>=|<=|>|<|=)?v?({_PART})(?:\.({_PART}))?(?:\.({_PART}))?(?:-({_IDENTIFIER}(?:\.{_IDENTIFIER})*))?(?:\+[0-9A-Za-z.-]+)?",
    re.ASCII,
)
_SPACED_OPERATOR = re.compile(r"(\^|~|>=|<=|>|<|=)\s+")
_HYPHEN = re.compile(r"(\S+)\s+-\s+(\S+)")

_Identifier = tuple[int, int, str]
_Prerelease = tuple[_Identifier, ...]


class VersionError(ValueError):
    """The text is no version or no range; the message says what would be."""


class Version(NamedTuple):
    """A version, ordered by precedence: build metadata is not part of it."""

    major: int
    minor: int
    patch: int
    released: bool = True
    """False for a prerelease, which comes before the release."""
    pre: _Prerelease = ()

    @property
    def core(self) -> tuple[int, int, int]:
        return self.major, self.minor, self.patch


class Range:
    """A set of versions, as in `^1.2`, `>=1.0 <2.0 || 3.x`. `matches` says whether a version is in it."""

    __slots__ = ("_alternatives", "text")

    def __init__(self, text: str, alternatives: tuple[tuple[_Bound, ...], ...]) -> None:
        self.text = text
        self._alternatives = alternatives

    def matches(self, version: Version) -> bool:
        return any(_within(version, bounds) for bounds in self._alternatives)


class _Bound(NamedTuple):
    holds: Callable[[Version, Version], bool]
    version: Version


@lru_cache(maxsize=4096)
def parse_version(text: str) -> Version:
    """The version that a text names. Raises `VersionError`."""
    match = _VERSION.fullmatch(text) if len(text) <= LONGEST_VERSION else None
    if match is None:
        raise VersionError(f"{text[:LONGEST_VERSION]!r} is not a version: write one like 1.4.0 or 2.0.0-rc.1")
    return Version(int(match[1]), int(match[2]), int(match[3]), *_prerelease(match[4]))


@lru_cache(maxsize=4096)
def parse_range(text: str) -> Range:
    """The range that a text describes; nothing, `*` and `latest` are every release. Raises `VersionError`."""
    if len(text) > LONGEST_RANGE:
        raise VersionError(f"the range is {len(text)} characters long: write at most {LONGEST_RANGE}")
    alternatives = tuple(_alternative(part.strip(), text) for part in text.split("||"))
    return Range(text, alternatives)


def _prerelease(text: str | None) -> tuple[bool, _Prerelease]:
    if text is None:
        return True, ()
    # Numbers come before words.
    return False, tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in text.split("."))


def _alternative(text: str, whole: str) -> tuple[_Bound, ...]:
    if text in ("", "*", "latest", "x", "X"):
        return ()
    if hyphen := _HYPHEN.fullmatch(text):
        return (*_comparator(f">={hyphen[1]}", whole), *_comparator(f"<={hyphen[2]}", whole))
    words = _SPACED_OPERATOR.sub(r"\1", text).replace(",", " ").split()
    return tuple(bound for word in words for bound in _comparator(word, whole))


def _comparator(word: str, whole: str) -> tuple[_Bound, ...]:
    match = _COMPARATOR.fullmatch(word)
    if match is None:
        raise VersionError(
            f"{whole[:80]!r} is not a range of versions, for {word[:40]!r} is none: write one like ^1.2, ~1.2.3, "
            ">=1.0 <2.0, 1.x or 1.4.0"
        )
    numbers: list[int] = []
    for part in match.group(2, 3, 4):
        if part is None or part in "xX*":
            break
        numbers.append(int(part))
    return _bounds(match[1] or "=", numbers, _prerelease(match[5] if len(numbers) == 3 else None))


def _bounds(operator: str, numbers: list[int], pre: tuple[bool, _Prerelease]) -> tuple[_Bound, ...]:
    given = len(numbers)
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    low = Version(major, minor, patch, *pre)
    if given == 0:
        return (_Bound(_LESS, Version(0, 0, 0)),) if operator in ("<", ">") else ()
    whole = low if given == 3 else None
    match operator:
        case "^":
            kept = next((index for index, number in enumerate(numbers) if number), given - 1)
            return _between(low, _next(numbers, kept))
        case "~":
            return _between(low, _next(numbers, min(given - 1, 1)))
        case ">=":
            return (_Bound(_AT_LEAST, low),)
        case "<":
            return (_Bound(_LESS, low),)
        case ">":
            return (_Bound(_MORE, low) if whole else _Bound(_AT_LEAST, _next(numbers, given - 1)),)
        case "<=":
            return (_Bound(_AT_MOST, low) if whole else _Bound(_LESS, _next(numbers, given - 1)),)
        case _:
            return (_Bound(_SAME, low),) if whole else _between(low, _next(numbers, given - 1))


def _between(low: Version, above: Version) -> tuple[_Bound, ...]:
    return (_Bound(_AT_LEAST, low), _Bound(_LESS, above))


def _next(numbers: list[int], index: int) -> Version:
    """The first version after all that share the numbers up to `index`; not even its prereleases are among them."""
    major, minor, patch = (*numbers[:index], numbers[index] + 1, 0, 0)[:3]
    return Version(major, minor, patch, released=False)


def _within(version: Version, bounds: tuple[_Bound, ...]) -> bool:
    if not all(bound.holds(version, bound.version) for bound in bounds):
        return False
    # A prerelease is only meant by a range that names a prerelease of the same version.
    return version.released or any(bound.version.pre and bound.version.core == version.core for bound in bounds)


def _same(version: Version, bound: Version) -> bool:
    return version == bound


def _less(version: Version, bound: Version) -> bool:
    return version < bound


def _more(version: Version, bound: Version) -> bool:
    return version > bound


def _at_least(version: Version, bound: Version) -> bool:
    return version >= bound


def _at_most(version: Version, bound: Version) -> bool:
    return version <= bound


_SAME, _LESS, _MORE, _AT_LEAST, _AT_MOST = _same, _less, _more, _at_least, _at_most

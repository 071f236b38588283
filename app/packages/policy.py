"""Which packages may run: an allow list and a block list, with patterns and version ranges. Block beats allow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion
from packaging.version import Version as PypiVersion

from app.packages.names import Ecosystem, shown
from app.packages.semver import NotSemver, Range, Version

_ECOSYSTEMS: tuple[Ecosystem, ...] = ("npm", "pypi")
_PATTERN = re.compile(r"(@[a-z0-9*?._-]+/)?[a-z0-9*?._-]+")
_LONGEST = 300


class PolicyError(ValueError):
    """Rules that cannot be read; `problems` has every one with its remedy."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


@dataclass(frozen=True, slots=True)
class Refusal:
    """That a package may not run, and by which rule."""

    ecosystem: Ecosystem
    name: str
    version: str | None
    rule: str | None
    """The block rule that it meets; None where it meets no allow rule."""
    path: tuple[str, ...] = ()
    """From the package that was asked for to this one, where it is a dependency."""

    def __str__(self) -> str:
        what = f"{self.ecosystem}:{self.name}" + (f" {self.version}" if self.version else "")
        if self.path:
            what += f" (a dependency: {' > '.join(self.path)})"
        if self.rule is None:
            return f"{what} is on no allow list: add it to packages.allow, or use one that is"
        return f"{what} is forbidden by the block rule {self.rule!r}: take another version or package, or drop the rule"


class Rule:
    """`[npm:|pypi:]pattern[@range]`: `*` is any text, `?` any character; no prefix means both registries."""

    def __init__(self, text: str) -> None:
        self.text = text
        rest = text.strip()
        prefix, colon, after = rest.partition(":")
        self.ecosystems = _ECOSYSTEMS
        if colon:
            if prefix not in _ECOSYSTEMS:
                raise ValueError(f"{shown(text)} begins with {shown(prefix)}: write npm: or pypi:, or neither for both")
            self.ecosystems = (prefix,)
            rest = after
        at = rest.find("@", 1)
        pattern, limits = (rest, "") if at < 0 else (rest[:at], rest[at + 1 :].strip())
        if len(text) > _LONGEST or not _PATTERN.fullmatch(pattern.lower()):
            raise ValueError(f"{shown(text)} is no rule: write a name or a pattern like @scope/*, then @ and a range")
        if at >= 0 and not limits:
            raise ValueError(f"{shown(text)} has no range after its '@': write one like ^1.2, or leave the '@' out")
        self._patterns = {ecosystem: _normal(ecosystem, pattern) for ecosystem in self.ecosystems}
        self._ranges = {ecosystem: _range(ecosystem, limits, text) for ecosystem in self.ecosystems if limits}

    def meets(self, ecosystem: Ecosystem, name: str, version: str | None, *, unknown: bool) -> bool:
        """Whether a package is meant. `unknown` is the answer where its version is not known, or no version at all."""
        pattern = self._patterns.get(ecosystem)
        if pattern is None or not _fits(pattern, name):
            return False
        limits = self._ranges.get(ecosystem)
        if limits is None:
            return True
        if version is None:
            return unknown
        try:
            if isinstance(limits, Range):
                return limits.holds(Version(version))
            return limits.contains(PypiVersion(version), prereleases=True)
        except (NotSemver, InvalidVersion):
            return unknown


class Policy:
    """What may run. No allow rule allows all; what meets a block rule never runs."""

    def __init__(self, allow: Iterable[str] = (), block: Iterable[str] = (), *, strict: bool = False) -> None:
        problems: list[str] = []
        self._allow = _rules("packages.allow", allow, problems)
        self._block = _rules("packages.block", block, problems)
        self._strict = strict
        if problems:
            raise PolicyError(problems)

    @property
    def blocks(self) -> tuple[str, ...]:
        """The block rules, as they were written."""
        return tuple(rule.text for rule in self._block)

    @property
    def judges_dependencies(self) -> bool:
        """Whether a dependency can be refused at all, so that it is worth knowing them."""
        return bool(self._block) or (self._strict and bool(self._allow))

    def refusal(
        self, ecosystem: Ecosystem, name: str, version: str | None, path: tuple[str, ...] = ()
    ) -> Refusal | None:
        """Why a package may not run; None if it may. A package with a `path` is a dependency of its first element.

        The block list holds for dependencies too; the allow list does so only in a strict policy.
        """
        for rule in self._block:
            if rule.meets(ecosystem, name, version, unknown=True):
                return Refusal(ecosystem, name, version, rule.text, path)
        if not self._allow or (path and not self._strict):
            return None
        if any(rule.meets(ecosystem, name, version, unknown=False) for rule in self._allow):
            return None
        return Refusal(ecosystem, name, version, None, path)

    def could_allow(self, ecosystem: Ecosystem, name: str) -> bool:
        """Whether any version of a package may run."""
        if any(rule.meets(ecosystem, name, None, unknown=False) for rule in self._block):
            return False
        return not self._allow or any(rule.meets(ecosystem, name, None, unknown=True) for rule in self._allow)


def _rules(where: str, texts: Iterable[str], problems: list[str]) -> list[Rule]:
    rules: list[Rule] = []
    for index, text in enumerate(texts):
        try:
            rules.append(Rule(text))
        except ValueError as error:
            problems.append(f"{where}[{index}] {error}")
    return rules


def _normal(ecosystem: Ecosystem, pattern: str) -> str:
    text = pattern.lower()
    return re.sub(r"[-_.]+", "-", text) if ecosystem == "pypi" else text


def _fits(pattern: str, name: str) -> bool:
    """Whether a pattern is a whole name. A regular expression would take for ever on patterns of many stars."""
    at = index = 0
    star, resumed = -1, 0
    while index < len(name):
        if at < len(pattern) and pattern[at] == "*":
            star, resumed = at, index
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", name[index]):
            at += 1
            index += 1
        elif star >= 0:  # the latest star takes one character more
            resumed += 1
            at, index = star + 1, resumed
        else:
            return False
    return not pattern[at:].strip("*")


def _range(ecosystem: Ecosystem, limits: str, rule: str) -> Range | SpecifierSet:
    try:
        if ecosystem == "npm":
            return Range(limits)
        exact = re.fullmatch(r"[0-9][0-9A-Za-z.!+-]*", limits)
        return SpecifierSet(f"=={limits}" if exact else limits)
    except NotSemver as error:
        reason = str(error)
    except InvalidSpecifier:
        reason = f"{shown(limits)} is not a range of PyPI's like >=1.2,<2"
    raise ValueError(f"{shown(rule)}: {reason}. A range of one registry needs npm: or pypi: before the name")

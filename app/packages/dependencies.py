"""What a package brings along, as the registries tell it: followed breadth first, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version as PypiVersion

from app.packages.facts import Package, PackageError, Release
from app.packages.names import Ecosystem, NotAllowedText, is_address, package_name, shown
from app.packages.policy import Policy, Refusal
from app.packages.semver import NotSemver, Range, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeLimits:
    """How far dependencies are followed."""

    packages: int = 400
    seconds: float = 45.0
    at_once: int = 8


@dataclass(frozen=True, slots=True)
class Dependency:
    """One package that another brings along, and the way to it."""

    name: str
    version: str
    path: tuple[str, ...]
    deprecated: str | None = None
    scripts: bool = False


@dataclass(slots=True)
class Tree:
    """All that a package brings along, as far as it was followed."""

    dependencies: list[Dependency] = field(default_factory=list[Dependency])
    unknown: list[str] = field(default_factory=list[str])
    """What could not be followed, each with the reason: addresses instead of ranges, packages that are gone."""
    complete: bool = True
    """False where the limits ended it."""

    def refusals(self, ecosystem: Ecosystem, policy: Policy) -> list[Refusal]:
        """What of it may not run."""
        judged = (policy.refusal(ecosystem, item.name, item.version, item.path) for item in self.dependencies)
        return [refusal for refusal in judged if refusal]


Look = Callable[[str], Awaitable[Package]]
Complete = Callable[[str, str], Awaitable[Release]]


async def follow(
    ecosystem: Ecosystem, name: str, release: Release, look: Look, complete: Complete, limits: TreeLimits
) -> Tree:
    """The dependencies of one version, each in the newest version that its range takes.

    It is what an installation of today would mostly choose. `look` finds a package, `complete` one version of it.
    """
    tree = Tree()
    seen: set[tuple[str, str]] = set()
    gate = asyncio.Semaphore(limits.at_once)

    async def one(name: str, limits_text: str, path: tuple[str, ...]) -> tuple[Dependency, Release] | None:
        asked = name
        if ecosystem == "npm" and limits_text.startswith("npm:"):
            # An alias: what is installed, and judged, is the package behind it.
            name, limits_text = _behind(limits_text)
        try:
            if is_address(limits_text):
                raise PackageError(f"it comes from {shown(limits_text)}, not from a registry: no installation takes it")
            checked = package_name(ecosystem, name)
            async with gate:
                package = await look(checked)
                version = chosen(package, limits_text)
                if version is None:
                    tree.unknown.append(f"{asked}: {shown(limits_text)} takes none of its versions, or is no range")
                    return None
                found = await complete(checked, version)
        except (PackageError, NotAllowedText) as error:
            tree.unknown.append(f"{asked}: {error}")
            return None
        return Dependency(checked, version, path, found.deprecated, found.scripts), found

    level: list[tuple[str, str, tuple[str, ...]]] = [
        (child, text, (name,)) for child, text in release.dependencies.items()
    ]
    try:
        async with asyncio.timeout(limits.seconds):
            while level:
                answers = await asyncio.gather(*(one(*item) for item in level))
                level = []
                for item in answers:
                    if item is None or (item[0].name, item[0].version) in seen:
                        continue
                    dependency, found = item
                    seen.add((dependency.name, dependency.version))
                    tree.dependencies.append(dependency)
                    below = (*dependency.path, dependency.name)
                    level += [(child, text, below) for child, text in found.dependencies.items()]
                if len(seen) + len(level) > limits.packages:
                    level = level[: max(0, limits.packages - len(seen))]
                    tree.complete = False
    except TimeoutError:
        tree.complete = False
    return tree


def _behind(alias: str) -> tuple[str, str]:
    """Name and range of `npm:@scope/name@range`."""
    rest = alias.removeprefix("npm:")
    at = rest.find("@", 1)
    return (rest, "") if at < 0 else (rest[:at], rest[at + 1 :])


def chosen(package: Package, limits: str) -> str | None:
    """The version that a range takes: the one named latest if it fits, the newest that fits otherwise."""
    if package.ecosystem == "npm":
        try:
            wanted = Range(limits)
        except NotSemver:
            return None
        if package.latest and Version(package.latest) in wanted:
            return package.latest
        return next((text for text in package.releases if Version(text) in wanted), None)
    try:
        specifier = SpecifierSet(limits)
    except InvalidSpecifier:
        return None
    offered = [text for text, release in package.releases.items() if not release.yanked]
    best = next(iter(specifier.filter(PypiVersion(text) for text in offered)), None)
    return None if best is None else str(best)

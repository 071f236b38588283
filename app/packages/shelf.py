"""Everything that is asked of packages, in one place: found, described, chosen by policy, followed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from packaging.version import Version as PypiVersion

from app.packages.asking import Asker, AskLimits
from app.packages.dependencies import Tree, TreeLimits, follow
from app.packages.facts import Found, NoSuchPackage, Package, PackageError, RegistryAway, Release
from app.packages.lookalikes import Lookalikes
from app.packages.names import Ecosystem, NotAllowedText, package_name
from app.packages.npm import Npm
from app.packages.policy import Policy
from app.packages.pypi import Pypi
from app.packages.registries import Registries
from app.packages.semver import Version
from app.resilience.http import HttpClient


class NotAllowedPackage(Exception):
    """The package policy forbids it; the message names the rule."""


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found, and what has to be said of it."""

    found: list[Found]
    notes: list[str] = field(default_factory=list[str])


class Shelf:
    """npm and PyPI. One for the life of a process."""

    def __init__(
        self,
        client: HttpClient,
        registries: Registries,
        *,
        known: Iterable[Found] = (),
        limits: AskLimits | None = None,
        tree: TreeLimits | None = None,
    ) -> None:
        asker = Asker(client, limits)
        self.npm = Npm(asker, registries)
        self.pypi = Pypi(asker, registries)
        self._known = list(known)
        self._tree = tree or TreeLimits()
        self._lookalikes = Lookalikes((item.ecosystem, item.name) for item in self._known)

    async def package(self, ecosystem: Ecosystem, name: str) -> Package:
        """A package and its versions. Raises `PackageError`."""
        try:
            return await (self.npm if ecosystem == "npm" else self.pypi).package(name)
        except NoSuchPackage as error:
            if meant := self._lookalikes.meant(ecosystem, name):
                raise NoSuchPackage(f"{error}. Did you mean {ecosystem}:{meant}?") from None
            raise

    async def release(self, ecosystem: Ecosystem, name: str, version: str) -> Release:
        """One version of it, with its dependencies. Raises `PackageError`."""
        package = await self.package(ecosystem, name)
        if ecosystem == "pypi":
            return await self.pypi.release(name, version)
        if version not in package.releases:
            some = ", ".join(list(package.releases)[:5])
            raise NoSuchPackage(f"npm:{name} {version} is not in {package.registry}: it has {some} …")
        return package.releases[version]

    async def choose(self, ecosystem: Ecosystem, name: str, version: str | None, policy: Policy) -> Release:
        """The version that is asked for, or the newest that the policy allows. Raises `NotAllowedPackage` too."""
        if version is not None:
            if refusal := policy.refusal(ecosystem, name, version):
                raise NotAllowedPackage(str(refusal))
            return await self.release(ecosystem, name, version)
        if not policy.could_allow(ecosystem, name):
            refusal = policy.refusal(ecosystem, name, None)
            raise NotAllowedPackage(str(refusal) if refusal else f"{ecosystem}:{name} is on no allow list")
        package = await self.package(ecosystem, name)
        offered = [release.version for release in _by_preference(package)]
        for candidate in offered:
            if policy.refusal(ecosystem, name, candidate) is None:
                return await self.release(ecosystem, name, candidate)
        if not offered:
            raise NoSuchPackage(f"{ecosystem}:{name} has no version that can be used: all were taken back")
        raise NotAllowedPackage(f"none of its versions may run: {policy.refusal(ecosystem, name, offered[0])}")

    async def dependencies(self, ecosystem: Ecosystem, name: str, release: Release) -> Tree:
        """What one version brings along."""

        async def complete(child: str, version: str) -> Release:
            return await self.release(ecosystem, child, version)

        return await follow(
            ecosystem, name, release, lambda child: self.package(ecosystem, child), complete, self._tree
        )

    async def search(self, words: str, ecosystem: Ecosystem | None = None, limit: int = 20) -> Search:
        """By npm's search where its registry offers one; PyPI has none: there, a name is looked up, and known names."""
        found: dict[tuple[str, str], Found] = {}
        notes: list[str] = []
        if ecosystem in (None, "npm"):
            try:
                found.update({("npm", hit.name): hit for hit in await self.npm.search(words, limit)})
            except NoSuchPackage:
                notes.append("this npm registry has no search: known names were looked through, and the name itself")
                await self._exact("npm", words, found, notes)
            except PackageError as error:
                notes.append(str(error))
        if ecosystem in (None, "pypi"):
            notes.append("PyPI has no search: known names were looked through, and the name itself")
            await self._exact("pypi", words, found, notes)
        wanted = words.lower().split()
        for item in self._known:
            text = f"{item.name} {item.description}".lower()
            if ecosystem in (None, item.ecosystem) and all(word in text for word in wanted):
                found.setdefault((item.ecosystem, item.name), item)
        return Search(list(found.values())[:limit], notes)

    async def _exact(
        self, ecosystem: Ecosystem, words: str, found: dict[tuple[str, str], Found], notes: list[str]
    ) -> None:
        try:
            name = package_name(ecosystem, words.strip())
            package = await self.package(ecosystem, name)
        except (NotAllowedText, NoSuchPackage):
            return
        except RegistryAway as error:
            notes.append(str(error))
            return
        found[ecosystem, name] = Found(
            ecosystem=ecosystem, name=name, version=package.latest, description=package.description
        )

    def warnings(self, ecosystem: Ecosystem, name: str, release: Release) -> list[str]:
        """What a person should know before this runs."""
        told: list[str] = []
        if lookalike := self._lookalikes.warning(ecosystem, name):
            told.append(lookalike)
        if release.deprecated:
            kind = "was taken back" if release.yanked else "is deprecated"
            told.append(f"{ecosystem}:{name} {release.version} {kind}: {release.deprecated}")
        return told


def _by_preference(package: Package) -> list[Release]:
    """The version named latest, the other releases, and prereleases only where there is nothing else."""
    latest = package.releases.get(package.latest or "")
    usable = [release for release in package.releases.values() if not release.yanked and release is not latest]
    finished = [release for release in usable if not _is_prerelease(package.ecosystem, release.version)]
    ordered = ([latest] if latest else []) + finished
    return ordered or usable


def _is_prerelease(ecosystem: Ecosystem, version: str) -> bool:
    return bool(Version(version).prerelease) if ecosystem == "npm" else PypiVersion(version).is_prerelease

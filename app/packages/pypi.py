"""PyPI and indexes like it: the JSON API where there is one, the simple index everywhere."""

from __future__ import annotations

from collections.abc import Iterable
from email.parser import HeaderParser
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from app.packages._simple import ACCEPTED, File, Page, read_page
from app.packages.asking import Asker, decoded
from app.packages.facts import NoSuchPackage, Package, PackageError, Release
from app.packages.registries import Registries, Source


class _Info(msgspec.Struct):
    name: str
    version: str
    summary: str | None = None
    license: str | None = None
    license_expression: str | None = None
    home_page: str | None = None
    project_urls: dict[str, Any] | None = None
    requires_dist: list[str] | None = None
    requires_python: str | None = None
    yanked: bool = False
    yanked_reason: str | None = None


class _Document(msgspec.Struct):
    info: _Info


class Pypi:
    """The indexes of PyPI packages: the first that has a package is the one that it is taken from."""

    def __init__(self, asker: Asker, registries: Registries) -> None:
        self._asker = asker
        self._registries = registries
        self._packages = asker.cache()
        self._releases = asker.cache()

    async def package(self, name: str) -> Package:
        """A package and all its versions; what only one version tells comes with `release`. Raises `PackageError`."""
        kept = await self._packages.get(("", name), lambda: self._fetch(name))
        return msgspec.structs.replace(kept.value, stale=True) if kept.stale else kept.value

    async def release(self, name: str, version: str) -> Release:
        """One version with its dependencies. Raises `PackageError`."""
        package = await self.package(name)
        release = package.releases.get(version)
        if release is None:
            raise NoSuchPackage(f"pypi:{name} {version} is not in {package.registry}: it has {_some(package.releases)}")
        kept = await self._releases.get((name, version), lambda: self._completed(package, release))
        return kept.value.releases[version]

    async def provenance(self, name: str, version: str, file: str) -> bytes:
        """The attestations of one file, from the integrity API."""
        source = self._index_of(await self.package(name))
        path = f"/integrity/{name}/{quote(version, safe='')}/{quote(file, safe='')}/provenance"
        return await self._asker.get(_api(source), path, f"the attestations of pypi:{name} {version}")

    def _index_of(self, package: Package) -> Source:
        return next(index for index in self._registries.indexes if index.url == package.registry)

    async def _fetch(self, name: str) -> Package:
        missing: PackageError | None = None
        for index in self._registries.indexes:
            try:
                return await self._fetch_from(index, name)
            except NoSuchPackage as error:
                missing = error
        raise missing or PackageError("no index of PyPI packages is configured")

    async def _fetch_from(self, index: Source, name: str) -> Package:
        what = f"pypi:{name}"
        body = await self._asker.get(index, f"/{name}/", what, accept=ACCEPTED)
        try:
            page = read_page(body, f"{index.url}/{name}/")
        except (ValueError, RecursionError) as error:
            raise PackageError(f"{index.url} was asked for {what}, and its answer is something else: {error}") from None
        releases = _releases(name, page)
        if not releases:
            raise NoSuchPackage(f"{what} has no files in {index.url}: check the name")
        published = [release.published for release in releases.values() if release.published]
        offered = [release.version for release in releases.values() if not release.yanked]
        latest = next((version for version in offered if not Version(version).is_prerelease), None)
        package = Package(
            ecosystem="pypi",
            name=name,
            registry=index.url,
            latest=latest or next(iter(offered), None),
            last_release=max(published, default=None),
            releases=releases,
        )
        info = await self._info(index, name, None)
        if info is None:
            return package
        return msgspec.structs.replace(
            package, description=info.summary or "", homepage=_homepage(info), license=_license(info)
        )

    async def _completed(self, package: Package, release: Release) -> Package:
        index = self._index_of(package)
        info = await self._info(index, package.name, release.version)
        if info is None and release.version == package.latest:
            info = await self._info(index, package.name, None)
        if info is not None and info.version != release.version:
            info = None
        if info is None and release.file_url and release.file and release.file.endswith(".whl"):
            info = await self._metadata(index, package.name, release, release.file_url)
        if info is not None:
            release = msgspec.structs.replace(
                release,
                dependencies=dependencies_of(info.requires_dist or ()),
                license=_license(info),
                needs=info.requires_python or release.needs,
            )
        return msgspec.structs.replace(package, releases={release.version: release})

    async def _metadata(self, index: Source, name: str, release: Release, url: str) -> _Info | None:
        """What a wheel's own metadata says, which an index serves beside it."""
        base, _, file = url.rpartition("/")
        same_host = urlsplit(base).netloc == urlsplit(index.url).netloc
        source = Source(base, index.headers if same_host else {})
        try:
            body = await self._asker.get(source, f"/{file}.metadata", f"pypi:{name} {release.version}", accept="*/*")
        except NoSuchPackage:
            return None
        said = HeaderParser().parsestr(body.decode("utf-8", "replace"))
        return _Info(
            name=name,
            version=release.version,
            license=said.get("License-Expression") or said.get("License"),
            requires_dist=said.get_all("Requires-Dist") or [],
            requires_python=said.get("Requires-Python"),
        )

    async def _info(self, index: Source, name: str, version: str | None) -> _Info | None:
        """What the JSON API says; None where an index has none."""
        path = f"/pypi/{name}/json" if version is None else f"/pypi/{name}/{quote(version, safe='')}/json"
        what = f"pypi:{name}" + (f" {version}" if version else "")
        try:
            return decoded(await self._asker.get(_api(index), path, what), _Document, what, index).info
        except NoSuchPackage:
            return None


def dependencies_of(requirements: Iterable[str]) -> dict[str, str]:
    """Names and ranges of what is needed on this machine, without extras; an address where one stands for a range."""
    found: dict[str, str] = {}
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            name = canonicalize_name(requirement.name)
            if requirement.url:
                found[name] = f"@ {requirement.url}"
            else:
                found[name] = ",".join(filter(None, (found.get(name), str(requirement.specifier))))
    return found


def _releases(name: str, page: Page) -> dict[str, Release]:
    """The files by their version, the newest first; each version by the file that would be installed here."""
    files: dict[Version, list[tuple[int, File]]] = {}
    for file in page.files:
        try:
            version, rank = _version_and_rank(name, file.filename)
        except (InvalidVersion, InvalidWheelFilename, InvalidSdistFilename):
            continue
        files.setdefault(version, []).append((rank, file))
    found: dict[str, Release] = {}
    for version in sorted(files, reverse=True):
        _, best = min(files[version], key=lambda pair: pair[0])
        all_yanked = all(file.yanked is not False for _, file in files[version])
        found[str(version)] = Release(
            version=str(version),
            integrity=f"sha256:{best.hashes['sha256']}" if "sha256" in best.hashes else None,
            file=best.filename,
            file_url=best.url,
            size=best.size,
            published=best.upload_time,
            deprecated=(best.yanked if isinstance(best.yanked, str) else "it was taken back") if all_yanked else None,
            yanked=all_yanked,
            needs=best.requires_python,
            scripts=not best.filename.endswith(".whl"),
            attestations=best.provenance,
        )
    return found


_NO_WHEEL = 1_000_000


def _version_and_rank(name: str, filename: str) -> tuple[Version, int]:
    """The version of a file, and how well it fits this machine: the less, the better."""
    if not filename.endswith(".whl"):
        project, version = parse_sdist_filename(filename)
        rank = _NO_WHEEL
    else:
        project, version, _, tags = parse_wheel_filename(filename)
        rank = min((_tag_ranks().get(str(tag), _NO_WHEEL + 1) for tag in tags), default=_NO_WHEEL + 1)
    if project != name:
        raise InvalidVersion(f"{filename!r} is a file of another package")
    return version, rank


_ranks: dict[str, int] = {}


def _tag_ranks() -> dict[str, int]:
    if not _ranks:
        from packaging.tags import sys_tags

        _ranks.update({str(tag): rank for rank, tag in reversed(list(enumerate(sys_tags())))})
    return _ranks


def _api(index: Source) -> Source:
    """Where an index has its JSON API: beside `/simple`."""
    return Source(index.url.rstrip("/").removesuffix("/simple"), index.headers)


def _license(info: _Info) -> str | None:
    text = info.license_expression or info.license
    return text.strip().partition("\n")[0][:80] if text and text.strip() else None


def _homepage(info: _Info) -> str | None:
    urls = {key.lower(): value for key, value in (info.project_urls or {}).items() if isinstance(value, str)}
    return info.home_page or next((urls[key] for key in ("homepage", "repository", "source") if key in urls), None)


def _some(releases: dict[str, Release]) -> str:
    names = list(releases)
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")

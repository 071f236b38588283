"""npm's registry: what there is, its versions, and what a search finds."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import quote, urlencode

import msgspec

from app.packages.asking import Asker, decoded
from app.packages.facts import Found, Package, PackageError, Release, Signature
from app.packages.names import NotAllowedText, package_name
from app.packages.registries import Registries
from app.packages.semver import NotSemver, Version

_SCRIPTS = ("preinstall", "install", "postinstall")


class _Dist(msgspec.Struct):
    integrity: str | None = None
    shasum: str | None = None
    tarball: str | None = None
    unpackedSize: int | None = None  # noqa: N815 (npm's own names)
    signatures: list[Signature] = []
    attestations: dict[str, Any] = {}


class _Manifest(msgspec.Struct):
    name: str
    version: str
    dist: _Dist
    description: Any = None
    license: Any = None
    deprecated: Any = None
    bin: Any = None
    dependencies: dict[str, str] = {}
    optionalDependencies: dict[str, str] = {}  # noqa: N815
    peerDependencies: dict[str, str] = {}  # noqa: N815
    peerDependenciesMeta: Any = None  # noqa: N815
    engines: Any = None
    scripts: Any = None
    hasInstallScript: bool = False  # noqa: N815


class _Document(msgspec.Struct):
    name: str
    versions: dict[str, msgspec.Raw] = {}
    tags: dict[str, str] = msgspec.field(default_factory=dict[str, str], name="dist-tags")
    time: dict[str, Any] = {}
    description: Any = None
    homepage: Any = None
    license: Any = None


class _Hit(msgspec.Struct):
    name: str
    version: str | None = None
    description: str | None = None


class _HitObject(msgspec.Struct):
    package: _Hit


class _Hits(msgspec.Struct):
    objects: list[_HitObject] = []


class Npm:
    """The registries of npm packages, each package's by its scope."""

    def __init__(self, asker: Asker, registries: Registries) -> None:
        self._asker = asker
        self._registries = registries
        self._packages = asker.cache()

    async def package(self, name: str) -> Package:
        """A package and all its versions. Raises `PackageError`."""
        source = self._registries.of_npm(name)
        kept = await self._packages.get((source.url, name), lambda: self._fetch(name))
        return msgspec.structs.replace(kept.value, stale=True) if kept.stale else kept.value

    async def search(self, words: str, limit: int) -> list[Found]:
        """What the registry's own search finds. Raises `NoSuchPackage` where it offers none."""
        source = self._registries.of_npm("")
        query = urlencode({"text": words, "size": str(limit)})
        body = await self._asker.get(source, f"/-/v1/search?{query}", "a search")
        hits = decoded(body, _Hits, "a search", source).objects
        return [
            Found(ecosystem="npm", name=hit.name, version=hit.version, description=hit.description or "")
            for hit in (found.package for found in hits[:limit])
            if _is_name(hit.name)
        ]

    async def keys(self, name: str) -> bytes:
        """The keys that the registry of a package publishes, as it publishes them."""
        return await self._asker.get(self._registries.of_npm(name), "/-/npm/v1/keys", "its signing keys")

    async def attestations(self, name: str, version: str) -> bytes:
        """The attestations of one version."""
        path = f"/-/npm/v1/attestations/{_quoted(name)}@{quote(version, safe='')}"
        return await self._asker.get(self._registries.of_npm(name), path, f"the attestations of npm:{name} {version}")

    async def _fetch(self, name: str) -> Package:
        source = self._registries.of_npm(name)
        what = f"npm:{name}"
        body = await self._asker.get(source, "/" + _quoted(name), what)
        document = decoded(body, _Document, what, source)
        if document.name != name:
            raise PackageError(f"{source.url} was asked for {what}, and answered about {document.name[:80]!r}")
        ordered = sorted(_readable(document.versions), reverse=True)
        latest = document.tags.get("latest")
        read = (_release(name, version.text, document) for version in ordered)
        releases = {release.version: release for release in read if release}
        return Package(
            ecosystem="npm",
            name=name,
            description=_optional(document.description) or "",
            homepage=_optional(document.homepage),
            license=_license(document.license) or (releases[latest].license if latest in releases else None),
            registry=source.url,
            latest=latest if latest in releases else None,
            last_release=max((release.published for release in releases.values() if release.published), default=None),
            releases=releases,
        )


def _release(name: str, version: str, document: _Document) -> Release | None:
    """One version; None where its manifest cannot be read, or is that of another."""
    try:
        manifest = msgspec.json.decode(document.versions[version], type=_Manifest)
    except msgspec.DecodeError:
        return None
    if (manifest.name, manifest.version) != (name, version):
        return None
    return Release(
        version=version,
        integrity=manifest.dist.integrity,
        file=(manifest.dist.tarball or "").rpartition("/")[2] or None,
        file_url=manifest.dist.tarball,
        size=manifest.dist.unpackedSize,
        published=_optional(document.time.get(version)),
        deprecated="its authors say so" if manifest.deprecated is True else _optional(manifest.deprecated),
        license=_license(manifest.license),
        dependencies={**_peers(manifest), **manifest.dependencies, **manifest.optionalDependencies},
        programs=(name.rpartition("/")[2],) if isinstance(manifest.bin, str) else tuple(_object(manifest.bin)),
        needs=_optional(_object(manifest.engines).get("node")),
        scripts=manifest.hasInstallScript or any(key in _object(manifest.scripts) for key in _SCRIPTS),
        signatures=tuple(manifest.dist.signatures),
        attestations=_optional(manifest.dist.attestations.get("url")),
    )


def _peers(manifest: _Manifest) -> dict[str, str]:
    """The peers that npm installs as well: those that are not optional."""
    meta = _object(manifest.peerDependenciesMeta)
    return {
        name: limits
        for name, limits in manifest.peerDependencies.items()
        if _object(meta.get(name)).get("optional") is not True
    }


def _readable(versions: dict[str, msgspec.Raw]) -> list[Version]:
    found: list[Version] = []
    for text in versions:
        try:
            found.append(Version(text))
        except NotSemver:  # some old packages have versions that npm itself passes over
            continue
    return found


def _license(said: object) -> str | None:
    return _optional(said) or _optional(_object(said).get("type"))


def _object(said: object) -> dict[str, Any]:
    return cast("dict[str, Any]", said) if isinstance(said, dict) else {}


def _optional(said: object) -> str | None:
    return said if isinstance(said, str) and said else None


def _is_name(text: str) -> bool:
    try:
        package_name("npm", text)
    except NotAllowedText:
        return False
    return True


def _quoted(name: str) -> str:
    return quote(name, safe="@")

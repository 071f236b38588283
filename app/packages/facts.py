"""What is known of a package and of one version of it, whichever registry it comes from."""

from __future__ import annotations

from typing import Literal

import msgspec

from app.packages.names import Ecosystem

Mode = Literal["off", "warn", "require"]
"""What follows where a package cannot be verified."""


class PackageError(Exception):
    """A registry has no answer that can be used; the message says which package, why, and what to do."""


class NoSuchPackage(PackageError):
    """The registry has no package of that name, or not that version of it."""


class RegistryAway(PackageError):
    """The registry cannot be reached now, or is in trouble."""


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """A registry's signature on one version."""

    keyid: str
    sig: str


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a package."""

    version: str
    integrity: str | None = None
    """Subresource-integrity text of npm, `sha256:…` of PyPI."""
    file: str | None = None
    """The file that the integrity is of."""
    file_url: str | None = None
    size: int | None = None
    """Bytes: unpacked on npm, as downloaded on PyPI."""
    published: str | None = None
    deprecated: str | None = None
    """Why it should not be used any more (npm), or why it was taken back (PyPI: yanked)."""
    yanked: bool = False
    license: str | None = None
    dependencies: dict[str, str] = {}
    """Names to the ranges that are asked for."""
    programs: tuple[str, ...] = ()
    """What it can be run as, where the registry says it."""
    needs: str | None = None
    """The versions of Node.js or Python that it runs on."""
    scripts: bool = False
    """Whether it wants to run something of its own when it is installed."""
    signatures: tuple[Signature, ...] = ()
    attestations: str | None = None
    """Where its attestations are."""


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """A package and its versions, the newest first."""

    ecosystem: Ecosystem
    name: str
    description: str = ""
    homepage: str | None = None
    license: str | None = None
    registry: str = ""
    latest: str | None = None
    """The version that its authors name as the one to use."""
    last_release: str | None = None
    releases: dict[str, Release] = {}
    stale: bool = False
    """Whether this is an old answer, since the registry cannot be reached now."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A package that a search came upon."""

    ecosystem: Ecosystem
    name: str
    version: str | None = None
    description: str = ""
    source: str = "registry"
    """`registry`, or `templates` where only known names were looked through."""

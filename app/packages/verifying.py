"""Whether a package is what its registry and its authors signed. What was checked is said, and what was not."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.packages._verify_npm import verify_npm
from app.packages._verify_pypi import verify_pypi
from app.packages.facts import NoSuchPackage, PackageError, Release
from app.packages.names import Ecosystem
from app.packages.npm import Npm
from app.packages.pypi import Pypi


@dataclass(slots=True)
class Verification:
    """What was found: what holds, what there is none of, and what does not hold."""

    checked: list[str] = field(default_factory=list[str])
    missing: list[str] = field(default_factory=list[str])
    wrong: list[str] = field(default_factory=list[str])

    @property
    def holds(self) -> bool:
        """Whether something was verified, and nothing is missing or wrong: what `require` asks for."""
        return bool(self.checked) and not self.missing and not self.wrong

    def told(self) -> list[str]:
        """What `warn` warns of."""
        return [*self.wrong, *self.missing]


async def verify(ecosystem: Ecosystem, name: str, release: Release, npm: Npm, pypi: Pypi) -> Verification:
    """Look at the signatures and attestations of one version. A registry that cannot be asked counts as missing."""
    found = Verification()
    try:
        if ecosystem == "npm":
            await _npm(name, release, npm, found)
        else:
            await _pypi(name, release, pypi, found)
    except NoSuchPackage:
        found.missing.append(f"{ecosystem}:{name} {release.version}: its registry serves no keys or attestations")
    except PackageError as error:
        found.missing.append(str(error))
    return found


async def _npm(name: str, release: Release, npm: Npm, found: Verification) -> None:
    if not release.signatures:
        found.missing.append(f"npm:{name} {release.version} is not signed by its registry")
        if not release.attestations:
            return
    keys = await npm.keys(name)
    attestations = await npm.attestations(name, release.version) if release.attestations else None
    checked, wrong = verify_npm(name, release, keys, attestations)
    found.checked += checked
    found.wrong += wrong


async def _pypi(name: str, release: Release, pypi: Pypi, found: Verification) -> None:
    if release.file is None:
        found.missing.append(f"pypi:{name} {release.version} has no file to look at")
        return
    body = await pypi.provenance(name, release.version, release.file)
    checked, wrong = verify_pypi(name, release, body)
    found.checked += checked
    found.wrong += wrong

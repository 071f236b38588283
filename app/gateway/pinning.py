"""From the name of a package to one pinned artefact and the command that starts exactly it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from app.gateway.spec import Pin
from app.packages.facts import Mode, Release
from app.packages.installing import Installer, InstallError, InstallRefused
from app.packages.names import Ecosystem
from app.packages.policy import Policy
from app.packages.shelf import NotAllowedPackage, Shelf

Run = Literal["installed", "checked", "client"]


class PinRefused(Exception):
    """The package may not run, or is not what it should be; the message says why."""


class PinDelayed(Exception):
    """The package could not be had now; it may work later."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A package as it is asked for."""

    ecosystem: Ecosystem
    name: str
    version: str | None
    program: str | None
    arguments: Sequence[str]


@dataclass(frozen=True, slots=True)
class Pinned:
    """A package as it is started."""

    pin: Pin
    command: tuple[str, ...]
    warnings: list[str] = field(default_factory=list[str])


class Packages:
    """npm and PyPI as the gateway uses them: chosen by policy, verified, and installed or started by their clients."""

    def __init__(self, shelf: Shelf, installer: Installer) -> None:
        self.shelf = shelf
        self._installer = installer

    async def pin(self, wanted: Wanted, policy: Policy, *, mode: Mode, run: Run) -> Pinned:
        """Raises `PinRefused`, `PinDelayed` and `PackageError`."""
        try:
            release = await self.shelf.choose(wanted.ecosystem, wanted.name, wanted.version, policy)
        except NotAllowedPackage as error:
            raise PinRefused(str(error)) from None
        warnings = self.shelf.warnings(wanted.ecosystem, wanted.name, release)
        if mode != "off":
            await self._verify(wanted, release, mode, warnings)
        pin = Pin(ecosystem=wanted.ecosystem, name=wanted.name, version=release.version, integrity=release.integrity)
        if run == "installed":
            return Pinned(pin, await self._install(wanted, release, policy), warnings)
        await self._judge_tree(wanted, release, policy, warnings, complete=run == "client")
        if run == "client":
            return Pinned(pin, client_command(wanted, release.version), warnings)
        return Pinned(pin, checked_command(wanted, release, policy), warnings)

    async def _verify(self, wanted: Wanted, release: Release, mode: Mode, warnings: list[str]) -> None:
        from app.packages.verifying import verify  # brings cryptography along

        found = await verify(wanted.ecosystem, wanted.name, release, self.shelf.npm, self.shelf.pypi)
        if mode == "require" and not found.holds:
            raise PinRefused("cannot be verified, and verify=require asks for it: " + "; ".join(found.told()))
        warnings += found.told()

    async def _install(self, wanted: Wanted, release: Release, policy: Policy) -> tuple[str, ...]:
        if release.integrity is None:
            raise PinRefused(f"{wanted.name} {release.version} has no integrity in its registry: it cannot be pinned")
        try:
            command = await self._installer.install(
                wanted.ecosystem,
                wanted.name,
                release.version,
                release.integrity,
                policy=policy,
                program=wanted.program,
                needs=release.needs,
            )
        except InstallRefused as error:
            raise PinRefused(str(error)) from None
        except InstallError as error:
            raise PinDelayed(str(error)) from None
        return (*command, *wanted.arguments)

    async def _judge_tree(
        self, wanted: Wanted, release: Release, policy: Policy, warnings: list[str], *, complete: bool
    ) -> None:
        """Dependencies as the registries tell them, where they are not installed here."""
        if not policy.judges_dependencies:
            return
        tree = await self.shelf.dependencies(wanted.ecosystem, wanted.name, release)
        if refused := tree.refusals(wanted.ecosystem, policy):
            raise PinRefused("; ".join(str(refusal) for refusal in refused))
        if tree.unknown or not tree.complete:
            told = "; ".join(tree.unknown[:5]) or "there are too many"
            if complete:
                raise PinRefused(f"the block list cannot be applied to all dependencies of {wanted.name}: {told}")
            warnings.append(f"not all dependencies of {wanted.name} were judged before it is installed: {told}")


def client_command(wanted: Wanted, version: str | None) -> tuple[str, ...]:
    """How npx or uvx is told to run a package: the options end before anything that a person gave begins."""
    if wanted.ecosystem == "npm":
        package = f"{wanted.name}@{version}" if version else wanted.name
        if wanted.program is None:
            return ("npx", "-y", "--", package, *wanted.arguments)
        return ("npx", "-y", f"--package={package}", "--", wanted.program, *wanted.arguments)
    package = f"{wanted.name}=={version}" if version else wanted.name
    return ("uvx", "--from", package, wanted.program or wanted.name, *wanted.arguments)


def checked_command(wanted: Wanted, release: Release, policy: Policy) -> tuple[str, ...]:
    """How our own image installs and starts a package elsewhere: by its hashes, judged by the same block list."""
    if release.integrity is None:
        raise PinRefused(f"{wanted.name} {release.version} has no integrity in its registry: it cannot be pinned")
    between = "@" if wanted.ecosystem == "npm" else "=="
    options = [f"--integrity={release.integrity}"]
    options += [f"--block={rule}" for rule in policy.blocks]
    if wanted.program:
        options.append(f"--bin={wanted.program}")
    package = f"{wanted.ecosystem}:{wanted.name}{between}{release.version}"
    return ("slipway", "packages", "run", *options, "--", package, *wanted.arguments)

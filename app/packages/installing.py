"""Pinned packages, installed once and started from there: what is launched is what was pinned."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from app.packages._clients import Clients, InstallError, InstallRefused
from app.packages._install_npm import install_npm, npm_command, npm_tree
from app.packages._install_pypi import install_pypi, pypi_command, pypi_tree
from app.packages.names import Ecosystem
from app.packages.policy import Policy
from app.resilience import SingleFlight

__all__ = ["InstallError", "InstallRefused", "Installer"]


class Installer:
    """Installs into a folder of its own, each package by name, version and integrity; an installation never changes.

    npm and uv compare all that they fetch with the hashes of a lock, which the package policy judges first.
    Unless `scripts` allows it, nothing of a package runs while it is installed: no npm scripts, no builds.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        *,
        scripts: bool = False,
        seconds: float = 300.0,
    ) -> None:
        self._folder = folder
        self._clients = Clients(environment, seconds=seconds)
        self._scripts = scripts
        self._flights: SingleFlight[Path, None] = SingleFlight()

    async def install(
        self,
        ecosystem: Ecosystem,
        name: str,
        version: str,
        integrity: str,
        *,
        policy: Policy,
        program: str | None = None,
        needs: str | None = None,
    ) -> tuple[str, ...]:
        """The command that starts the package's program. Raises `InstallError`."""
        final = self._place(ecosystem, name, version, integrity)
        if not final.exists():
            await self._flights.run(
                final, lambda: self._make(final, ecosystem, name, version, integrity, needs, policy)
            )
        tree = npm_tree(final) if ecosystem == "npm" else pypi_tree(final)
        for child, number in tree:  # the policy may be another one than when it was installed
            if child != name and (why := _why_not(policy, ecosystem, name, child, number)):
                raise InstallRefused(why)
        if ecosystem == "pypi":
            return pypi_command(final, name, program)
        node = self._clients.find("node", "install Node.js, or set MCP_ALLOW_NPX=false")
        return npm_command(node, final, name, program)

    def tree(self, ecosystem: Ecosystem, name: str, version: str, integrity: str) -> list[tuple[str, str]]:
        """Names and versions of all that an installation has; empty where there is none."""
        final = self._place(ecosystem, name, version, integrity)
        if not final.exists():
            return []
        return npm_tree(final) if ecosystem == "npm" else pypi_tree(final)

    async def _make(
        self,
        final: Path,
        ecosystem: Ecosystem,
        name: str,
        version: str,
        integrity: str,
        needs: str | None,
        policy: Policy,
    ) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            work = Path(tempfile.mkdtemp(prefix=".making-", dir=self._folder))
        except OSError as error:
            raise InstallError(
                f"{self._folder} cannot be written to: {error}. MCP_PACKAGES_PATH names another"
            ) from None

        def judge(child: str, number: str) -> str | None:
            return _why_not(policy, ecosystem, name, child, number)

        try:
            if ecosystem == "npm":
                await install_npm(self._clients, work, name, version, integrity, judge, scripts=self._scripts)
            else:
                await install_pypi(
                    self._clients, work, name, version, integrity, judge, scripts=self._scripts, needs=needs
                )
            _settle(work, final)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def _place(self, ecosystem: Ecosystem, name: str, version: str, integrity: str) -> Path:
        python = "" if ecosystem == "npm" else f"{sys.version_info[0]}.{sys.version_info[1]} {sys.prefix}"
        key = "\n".join((ecosystem, name, version, integrity, str(self._scripts), python))
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        readable = re.sub(r"[^a-z0-9.]+", "-", f"{name}-{version}".lower()).strip("-")[:80]
        return self._folder / f"{ecosystem}-{readable}-{digest}"


def _settle(work: Path, final: Path) -> None:
    """Put a finished installation in its place, unless somebody else was faster: theirs is as good."""
    try:
        if not final.exists():
            work.rename(final)
    except OSError as error:
        if not final.exists():
            raise InstallError(f"{final} cannot be made: {error}") from None


def _why_not(policy: Policy, ecosystem: Ecosystem, root: str, child: str, number: str) -> str | None:
    refusal = policy.refusal(ecosystem, child, number or None, (root,))
    return None if refusal is None else str(refusal)

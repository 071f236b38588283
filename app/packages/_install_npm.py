"""An npm package with its whole tree, installed as locked; nothing of it runs on the way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from app.packages._clients import Clients, InstallError, InstallRefused
from app.packages.names import is_address, shown

_QUIET = ("--no-audit", "--no-fund", "--loglevel=error", "--omit=dev", "--no-update-notifier")
_SCRIPTS = (".js", ".mjs", ".cjs")
Judge = Callable[[str, str], str | None]
"""Given a dependency's name and version, why it may not be installed."""


class _Locked(msgspec.Struct):
    name: str | None = None
    version: str | None = None
    integrity: str | None = None
    resolved: str | None = None
    link: bool = False
    inBundle: bool = False  # noqa: N815 (npm's own names)
    dependencies: dict[str, str] = {}
    optionalDependencies: dict[str, str] = {}  # noqa: N815
    peerDependencies: dict[str, str] = {}  # noqa: N815


class _Lock(msgspec.Struct):
    packages: dict[str, _Locked]


async def install_npm(
    clients: Clients, folder: Path, name: str, version: str, integrity: str, judge: Judge, *, scripts: bool
) -> None:
    """Lock the tree, judge it, and install exactly that into a folder."""
    npm = clients.find("npm", "install Node.js with npm, or set MCP_ALLOW_NPX=false")
    manifest = {"name": "installed", "version": "0.0.0", "private": True, "dependencies": {name: version}}
    (folder / "package.json").write_text(json.dumps(manifest), "utf-8")
    run = () if scripts else ("--ignore-scripts",)
    what = f"installing npm:{name} {version}"
    await clients.run((npm, "install", "--package-lock-only", *_QUIET, "--ignore-scripts"), folder, what)
    _judge(folder / "package-lock.json", name, version, integrity, judge)
    # `npm ci` takes what the lock says and compares every tarball with its integrity.
    await clients.run((npm, "ci", *_QUIET, *run), folder, what)


def npm_tree(folder: Path) -> list[tuple[str, str]]:
    """Names and versions of all that was installed."""
    lock = _read(folder / "package-lock.json")
    return sorted({(_name(path, entry), entry.version or "") for path, entry in lock.packages.items() if path})


def npm_command(node: str, folder: Path, name: str, program: str | None) -> tuple[str, ...]:
    """How the program of an installed package is started, without npx and without a shell."""
    package = folder / "node_modules" / name
    try:
        manifest: dict[str, Any] = json.loads((package / "package.json").read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InstallRefused(f"npm:{name} was installed and has no package.json that can be read: {error}") from None
    said = manifest.get("bin")
    short = name.rpartition("/")[2]
    programs: dict[str, str] = {short: said} if isinstance(said, str) else dict(said or {})
    chosen = program or (next(iter(programs)) if len(programs) == 1 else short)
    if chosen not in programs:
        has = ", ".join(sorted(programs)) or "none"
        remedy = "a template can name one of them under bin" if programs else "it is a library, not a server"
        raise InstallRefused(f"npm:{name} has no program {chosen!r}: it has {has}; {remedy}")
    file = (package / programs[chosen]).resolve()
    if not file.is_relative_to(package.resolve()) or not file.is_file():
        raise InstallRefused(f"npm:{name} names {programs[chosen]!r} as its program, which is no file of the package")
    with file.open("rb") as opened:
        first = opened.readline(300).decode("utf-8", "replace")
    shebang = re.match(r"#!\s*(?:/usr/bin/env\s+(?:-S\s+)?)?(?:\S*/)?node\b(.*)", first)
    if shebang is None and file.suffix not in _SCRIPTS:
        return (str(file),)
    return (node, *(shebang[1].split() if shebang else ()), str(file))


def _judge(file: Path, name: str, version: str, integrity: str, judge: Judge) -> None:
    lock = _read(file)
    top = lock.packages.get(f"node_modules/{name}")
    if top is None or top.version != version or _name(f"node_modules/{name}", top) != name:
        raise InstallRefused(f"npm resolved npm:{name} {version} to something else: nothing was installed")
    if not _same(top.integrity or "", integrity):
        raise InstallRefused(
            f"npm:{name} {version} has the integrity {top.integrity} now, and {integrity} was pinned: "
            "nothing was installed. Somebody changed what the registry serves; pin it anew only if you know why"
        )
    for path, entry in lock.packages.items():
        if not path:
            continue
        what = f"npm:{_name(path, entry)} {entry.version}"
        wanted = {**entry.peerDependencies, **entry.dependencies, **entry.optionalDependencies}
        if address := next((text for text in wanted.values() if is_address(text)), None):
            raise InstallRefused(f"{what} needs {shown(address)}, which is in no registry: nothing was installed")
        if entry.link or (entry.resolved or "https:").partition(":")[0] not in ("http", "https"):
            raise InstallRefused(f"{what} does not come from a registry ({entry.resolved}): nothing was installed")
        if not entry.integrity and not entry.inBundle:
            raise InstallRefused(f"{what} has no integrity, so it cannot be pinned: nothing was installed")
        if path != f"node_modules/{name}" and (why := judge(_name(path, entry), entry.version or "")):
            raise InstallRefused(why)


def _same(one: str, other: str) -> bool:
    """Whether the strongest digests of two integrity texts are the same."""
    ours, theirs = ({part for part in text.split() if part.startswith("sha512-")} for text in (one, other))
    return bool(ours & theirs) or (not ours and not theirs and bool(one) and one == other)


def _name(path: str, entry: _Locked) -> str:
    return entry.name or path.rpartition("node_modules/")[2]


def _read(file: Path) -> _Lock:
    try:
        return msgspec.json.decode(file.read_bytes(), type=_Lock)
    except (OSError, msgspec.DecodeError) as error:
        raise InstallError(f"npm left no lock file that can be read: {error}") from None

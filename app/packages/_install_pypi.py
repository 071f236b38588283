"""A PyPI package with its whole tree, installed by hashes into an environment of its own; nothing of it runs."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from app.packages._clients import Clients, InstallRefused

_LINE = re.compile(r"([A-Za-z0-9._-]+)==([^\s;\\]+)")
# What every environment has.
_NO_PROGRAM = re.compile(r"python|pydoc|pip|.*activate", re.IGNORECASE)
Judge = Callable[[str, str], str | None]


async def install_pypi(
    clients: Clients,
    folder: Path,
    name: str,
    version: str,
    integrity: str,
    judge: Judge,
    *,
    scripts: bool,
    needs: str | None,
) -> None:
    """Lock the tree, judge it, and install exactly that into a folder."""
    uv = clients.find("uv", "install uv, or set MCP_ALLOW_UV=false")
    what = f"installing pypi:{name} {version}"
    python = _python(needs)
    build = () if scripts else ("--no-build",)
    (folder / "wanted.txt").write_text(f"{name}=={version}\n", "utf-8")
    quiet = ("--quiet", "--no-progress", "--color=never")
    compile_it = (
        "pip",
        "compile",
        "wanted.txt",
        "--generate-hashes",
        "--no-header",
        "--no-annotate",
    )
    await clients.run((uv, *compile_it, "--python", python, *build, *quiet, "-o", "locked.txt"), folder, what, **_STILL)
    _judge(folder / "locked.txt", name, version, integrity, judge)
    await clients.run((uv, "venv", "--relocatable", "--python", python, *quiet, "environment"), folder, what, **_STILL)
    # Without dependencies: the lock is the whole tree, and every file has to have one of its hashes.
    flags = ("--require-hashes", "--no-deps", "--compile-bytecode", "--python", "environment")
    await clients.run((uv, "pip", "install", "-r", "locked.txt", *flags, *build, *quiet), folder, what, **_STILL)


_STILL = {"UV_PYTHON_DOWNLOADS": "never"}


def pypi_tree(folder: Path) -> list[tuple[str, str]]:
    """Names and versions of all that was installed."""
    return sorted((entry[0], entry[1]) for entry in _entries(folder / "locked.txt"))


def pypi_command(folder: Path, name: str, program: str | None) -> tuple[str, ...]:
    """How the program of an installed package is started: by its Python, so that no shell reads its first line."""
    programs = folder / "environment" / "bin"
    chosen = program or name
    script = programs / chosen
    if not script.is_file():
        has = sorted(entry.name for entry in programs.iterdir() if not _NO_PROGRAM.match(entry.name))
        near = [entry for entry in has if name in entry.lower().replace("_", "-")] or has
        remedy = "a template can name one of them under bin" if near else "it is a library, not a server"
        raise InstallRefused(
            f"pypi:{name} has no program {chosen!r}: its environment has {', '.join(near[:8]) or 'none'}; {remedy}"
        )
    with script.open("rb") as opened:
        if opened.read(2) != b"#!":
            return (str(script),)
    return (str(programs / "python"), str(script))


def _python(needs: str | None) -> str:
    """This Python, or one that the package can run on."""
    try:
        fits = needs is None or SpecifierSet(needs).contains(".".join(map(str, sys.version_info[:3])), prereleases=True)
    except InvalidSpecifier:
        fits = True
    return sys.executable if fits else str(needs)


def _judge(locked: Path, name: str, version: str, integrity: str, judge: Judge) -> None:
    entries = _entries(locked)
    top = next((entry for entry in entries if entry[0] == name and entry[1] == version), None)
    if top is None:
        raise InstallRefused(f"uv resolved pypi:{name} {version} to something else: nothing was installed")
    if integrity not in top[2]:
        raise InstallRefused(
            f"pypi:{name} {version} has no file with {integrity} any more, which was pinned: nothing was installed. "
            "Somebody changed what the index serves; pin it anew only if you know why"
        )
    for entry in entries:
        if entry is not top and (why := judge(entry[0], entry[1])):
            raise InstallRefused(why)
    # Of the package itself just the pinned file is taken; of its dependencies, one of the files that the index has.
    lines = [
        f"{other}=={number} " + " ".join(f"--hash={digest}" for digest in ([integrity] if other == name else digests))
        for other, number, digests in entries
    ]
    locked.write_text("\n".join(lines) + "\n", "utf-8")


def _entries(locked: Path) -> list[tuple[str, str, list[str]]]:
    text = locked.read_text("utf-8").replace("\\\n", " ")
    found: list[tuple[str, str, list[str]]] = []
    for line in text.splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.match(stripped)
        digests = re.findall(r"--hash=(sha256:[0-9a-f]{64})", stripped)
        if match is None or not digests:
            raise InstallRefused(f"{stripped[:80]!r} comes from no index with hashes: nothing was installed")
        found.append((re.sub(r"[-_.]+", "-", match[1]).lower(), match[2], digests))
    return found

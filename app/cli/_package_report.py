"""What `slipway packages show` and `check` find out, and how it is printed."""

from __future__ import annotations

from typing import Any

from app.cli._show import consoles
from app.packages.facts import Mode
from app.packages.names import Ecosystem
from app.packages.policy import Policy
from app.packages.shelf import NotAllowedPackage, Shelf

_MOST_VERSIONS = 20


async def described(
    shelf: Shelf, ecosystem: Ecosystem, name: str, version: str | None, *, follow: bool, versions: bool
) -> dict[str, Any]:
    """A package and one of its versions, as plain data."""
    package = await shelf.package(ecosystem, name)
    release = await shelf.choose(ecosystem, name, version, Policy())
    told: dict[str, Any] = {
        "package": f"{ecosystem}:{name}",
        "version": release.version,
        "latest": package.latest,
        "versions": list(package.releases) if versions else len(package.releases),
        "description": package.description,
        "license": release.license or package.license,
        "homepage": package.homepage,
        "registry": package.registry,
        "lastRelease": package.last_release,
        "published": release.published,
        "size": release.size,
        "integrity": release.integrity,
        "file": release.file,
        "programs": release.programs,
        "runsOn": release.needs,
        "installScripts": release.scripts,
        "dependencies": release.dependencies,
        "stale": package.stale,
        "warnings": shelf.warnings(ecosystem, name, release),
    }
    if follow:
        tree = await shelf.dependencies(ecosystem, name, release)
        told["allDependencies"] = [
            {"name": item.name, "version": item.version, "path": item.path, "deprecated": item.deprecated}
            for item in tree.dependencies
        ]
        told["notFollowed"] = tree.unknown
        told["complete"] = tree.complete
    return told


async def judged(
    shelf: Shelf, ecosystem: Ecosystem, name: str, version: str | None, policy: Policy, mode: Mode
) -> dict[str, Any]:
    """Whether a package may run, as plain data."""
    told: dict[str, Any] = {"package": f"{ecosystem}:{name}", "allowed": False, "refusals": [], "warnings": []}
    try:
        release = await shelf.choose(ecosystem, name, version, policy)
    except NotAllowedPackage as error:
        told["refusals"] = [str(error)]
        return told
    told.update(version=release.version, integrity=release.integrity)
    told["warnings"] = shelf.warnings(ecosystem, name, release)
    if policy.judges_dependencies:
        tree = await shelf.dependencies(ecosystem, name, release)
        told["refusals"] = [str(refusal) for refusal in tree.refusals(ecosystem, policy)]
        told["dependencies"] = len(tree.dependencies)
        told["warnings"] += [f"not followed: {what}" for what in tree.unknown]
        if not tree.complete:
            told["warnings"].append("it has more dependencies than were followed")
    if mode != "off":
        from app.packages.verifying import verify

        found = await verify(ecosystem, name, release, shelf.npm, shelf.pypi)
        told["verified"] = {"checked": found.checked, "missing": found.missing, "wrong": found.wrong}
        if mode == "require" and not found.holds:
            told["refusals"] += found.told()
        else:
            told["warnings"] += found.told()
    told["allowed"] = not told["refusals"]
    return told


def print_description(told: dict[str, Any]) -> None:
    """For a person."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(overflow="fold")
    lists = ("dependencies", "allDependencies", "notFollowed", "warnings", "versions")
    for label, value in told.items():
        if label not in lists and value not in (None, "", (), False):
            table.add_row(label, Text(", ".join(value) if isinstance(value, tuple) else str(value)))  # type: ignore[reportUnknownArgumentType]
    versions = told["versions"]
    if isinstance(versions, int):
        table.add_row("versions", str(versions))
    else:
        more = f" and {len(versions) - _MOST_VERSIONS} more" if len(versions) > _MOST_VERSIONS else ""
        table.add_row("versions", Text(", ".join(versions[:_MOST_VERSIONS]) + more))
    for name, limits in told["dependencies"].items():
        table.add_row("needs", Text(f"{name} {limits}"))
    for item in told.get("allDependencies", ()):
        why = f", deprecated: {item['deprecated']}" if item["deprecated"] else ""
        table.add_row("brings", Text(f"{item['name']} {item['version']} (by {' > '.join(item['path'])}{why})"))
    for what in told.get("notFollowed", ()):
        table.add_row("not followed", Text(what))
    consoles()[0].print(table)
    _print_warnings(told["warnings"])


def print_judgement(told: dict[str, Any]) -> None:
    """For a person."""
    out = consoles()[0]
    version = f" {told['version']}" if "version" in told else ""
    out.print(f"{told['package']}{version} {'may run' if told['allowed'] else 'may not run'}", markup=False)
    for refusal in told["refusals"]:
        out.print(f"  {refusal}", markup=False)
    if (integrity := told.get("integrity")) and told["allowed"]:
        out.print(f"  to pin it: --integrity={integrity}", markup=False)
    for sentence in told.get("verified", {}).get("checked", ()):
        out.print(f"  verified: {sentence}", markup=False)
    _print_warnings(told["warnings"])


def _print_warnings(warnings: list[str]) -> None:
    for warning in warnings:
        consoles()[1].print(f"warning: {warning}", markup=False)

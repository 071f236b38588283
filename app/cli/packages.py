"""`slipway packages`: what there is on npm and PyPI, whether it may run, and running it pinned."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from app.cli._show import consoles, pretty, write

if TYPE_CHECKING:
    from app.gateway.pinning import Packages
    from app.packages.names import Ecosystem

REFUSED, USAGE, AWAY = 1, 2, 3
Value = TypeVar("Value")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Reference = Annotated[str, typer.Argument(help="npm:NAME or pypi:NAME, with @VERSION (npm) or ==VERSION (PyPI).")]
Rules = Annotated[list[str] | None, typer.Option(metavar="RULE", help="A rule like @scope/* or npm:name@<2.")]

commands = typer.Typer(
    help="Packages of npm and PyPI.\n\nExit status: 0 when all is well, 1 when a package may not run or there is none, "
    "2 for a mistake in the command or the settings, 3 when a registry cannot be reached.",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(commands, name="packages")


@commands.command("search", no_args_is_help=True)
def search(
    words: Annotated[list[str], typer.Argument(help="What to search for; for PyPI, a name.")],
    registry: Annotated[str | None, typer.Option(help="npm or pypi; both without it.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=250)] = 20,
    as_json: AsJson = False,
) -> None:
    """Search npm. PyPI offers no search: known names are looked through, and the words as a name."""
    kind = _ecosystem(registry)

    async def ask(packages: Packages) -> Any:
        return await packages.shelf.search(" ".join(words), kind, limit)

    result = _run(ask)
    if as_json:
        write(pretty({"found": result.found, "notes": result.notes}))
    else:
        rows = [(f"{hit.ecosystem}:{hit.name}", hit.version or "", hit.description) for hit in result.found]
        _table(("Package", "Version", "What it is"), rows)
        for note in result.notes:
            consoles()[1].print(note, markup=False)
    if not result.found:
        raise typer.Exit(REFUSED)


@commands.command("show", no_args_is_help=True)
def show(
    package: Reference,
    dependencies: Annotated[bool, typer.Option("--dependencies", help="Follow all that it brings along.")] = False,
    versions: Annotated[bool, typer.Option("--versions", help="List its versions.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show a package: its versions, what it needs, its licence, size and last release, and what to beware of."""
    from app.cli._package_report import described, print_description

    kind, name, version = _reference(package)

    async def ask(packages: Packages) -> dict[str, Any]:
        return await described(packages.shelf, kind, name, version, follow=dependencies, versions=versions)

    told = _run(ask)
    if as_json:
        write(pretty(told))
    else:
        print_description(told)


@commands.command("check", no_args_is_help=True)
def check(
    package: Reference,
    config: Annotated[Path | None, typer.Option(help="A gateway's file, for its allow and block lists.")] = None,
    allow: Rules = None,
    block: Rules = None,
    verify: Annotated[str | None, typer.Option(help="off, warn or require. MCP_PACKAGES_VERIFY.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell whether a package may run: by its name, version, dependencies, signatures and resemblance to known names."""
    from app.cli._package_report import judged, print_judgement
    from app.packages.policy import Policy, PolicyError

    kind, name, version = _reference(package)
    settings = _settings()
    rules = _rules_of(config)
    try:
        policy = Policy([*rules[0], *(allow or ())], [*rules[1], *(block or ())], strict=settings.packages_strict)
    except PolicyError as error:
        _give_up(str(error))
    if verify not in (None, "off", "warn", "require"):
        _give_up(f"--verify={verify!r} is unknown: give off, warn or require")
    mode = verify or settings.packages_verify

    async def ask(packages: Packages) -> dict[str, Any]:
        return await judged(packages.shelf, kind, name, version, policy, mode)

    told = _run(ask)
    if as_json:
        write(pretty(told))
    else:
        print_judgement(told)
    if not told["allowed"]:
        raise typer.Exit(REFUSED)


@commands.command("run", no_args_is_help=True, context_settings={"ignore_unknown_options": True})
def run(
    package: Reference,
    arguments: Annotated[list[str] | None, typer.Argument(help="Passed to its program as they are.")] = None,
    integrity: Annotated[str, typer.Option(help="sha512-… of npm or sha256:… of PyPI, as it was pinned.")] = "",
    program: Annotated[str | None, typer.Option("--bin", help="Which of its programs.")] = None,
    block: Rules = None,
) -> None:
    """Install exactly one pinned package by its hashes, and become its program. What this prints goes to stderr."""
    import os

    from app.cli._packages import build_installer, build_registries
    from app.cli._problems import WiringError
    from app.packages.installing import InstallError
    from app.packages.names import NotAllowedText, bin_name
    from app.packages.policy import Policy, PolicyError
    from app.settings import all_variables

    kind, name, version = _reference(package)
    if version is None or not integrity:
        _give_up(f"{package} is not pinned: give its version and --integrity; `slipway packages check` tells both")
    try:
        settings = _settings()
        registries = build_registries(settings)
        installer = build_installer(settings, registries)
        policy = Policy(block=block or ())
        chosen = None if program is None else bin_name(program)
        command = asyncio.run(installer.install(kind, name, version, integrity, policy=policy, program=chosen))
    except (WiringError, PolicyError, NotAllowedText) as error:
        _give_up(str(error))
    except InstallError as error:
        _give_up(str(error), REFUSED)
    environment = registries.without_credentials(all_variables())
    os.execve(command[0], [*command, *(arguments or ())], environment)  # noqa: S606 (it is meant to become that program)


def _rules_of(config: Path | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if config is None:
        return (), ()
    from app.gateway.manager.declaration import DeclarationError, read_declaration

    try:
        declared = read_declaration(str(config), config.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, DeclarationError) as error:
        _give_up(f"--config={str(config)!r} cannot be used: {error}")
    return declared.packages.allow, declared.packages.block


def _run(ask: Callable[[Packages], Awaitable[Value]]) -> Value:
    from app.cli._packages import build_packages, build_templates
    from app.cli._problems import WiringError
    from app.packages.facts import PackageError, RegistryAway

    async def whole() -> Value:
        settings = _settings()
        packages, close = build_packages(settings, build_templates(settings))
        try:
            return await ask(packages)
        finally:
            await close()

    try:
        return asyncio.run(whole())
    except WiringError as error:
        _give_up(str(error))
    except RegistryAway as error:
        _give_up(str(error), AWAY)
    except PackageError as error:
        _give_up(str(error), REFUSED)


def _settings() -> Any:
    from app.settings import Settings, SettingsError

    try:
        return Settings.load()
    except SettingsError as error:
        _give_up(str(error))


def _reference(text: str) -> tuple[Ecosystem, str, str | None]:
    from app.packages.names import NotAllowedText, reference

    try:
        return reference(text)
    except NotAllowedText as error:
        _give_up(str(error))


def _ecosystem(text: str | None) -> Ecosystem | None:
    known: dict[str | None, Ecosystem | None] = {None: None, "npm": "npm", "pypi": "pypi"}
    if text not in known:
        _give_up(f"--registry={text!r} is unknown: give npm or pypi")
    return known[text]


def _table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for index, heading in enumerate(headings):
        table.add_column(heading, no_wrap=index == 0, style="bold" if index == 0 else "")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    consoles()[0].print(table)


def _give_up(message: str, status: int = USAGE) -> NoReturn:
    consoles()[1].print(message, markup=False)
    raise typer.Exit(status)

"""`slipway templates`: known servers, and what has to be written to run one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from app.cli._show import consoles, pretty, write

if TYPE_CHECKING:
    from app.gateway.templates import Template, Templates

USAGE = 2
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TemplateName = Annotated[str, typer.Argument(help="Its name, as `slipway templates list` shows it.")]
_FORMATS = ("stack", "gateway", "rest", "cli")

commands = typer.Typer(help="Known servers: list and search them, and write what runs one.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(commands, name="templates")


@commands.command("list")
def list_templates(
    category: Annotated[str | None, typer.Option(help="Only those of a category, like search or databases.")] = None,
    as_json: AsJson = False,
) -> None:
    """List all templates, the built-in ones and your own (MCP_TEMPLATES_PATH, MCP_TEMPLATES_COLLECTION)."""
    templates = _templates()
    _print(templates, [item for item in templates.all() if category in (None, *item.categories)], as_json=as_json)


@commands.command("search", no_args_is_help=True)
def search(
    words: Annotated[list[str], typer.Argument(help="Words that have to occur in it.")], as_json: AsJson = False
) -> None:
    """Search templates. Exit status 1 when there is none."""
    templates = _templates()
    found = templates.search(" ".join(words))
    _print(templates, found, as_json=as_json)
    if not found:
        raise typer.Exit(1)


@commands.command("show", no_args_is_help=True)
def show(name: TemplateName, as_json: AsJson = False) -> None:
    """Show one template: how it is started, and what has to be given to it."""
    templates = _templates()
    template = _one(templates, name)
    if as_json:
        write(pretty(template))
        return
    from rich.table import Table
    from rich.text import Text

    out = consoles()[0]
    out.print(Text(f"{template.title} ({template.name})", style="bold"))
    out.print(Text(template.description))
    facts = Table(box=None, pad_edge=False, show_header=False)
    facts.add_column(style="cyan", no_wrap=True)
    facts.add_column()
    for label, value in _facts(template, own=templates.is_own(template.name)):
        facts.add_row(label, Text(value))
    out.print(facts)
    if not template.settings:
        return
    settings = Table(box=None, pad_edge=False)
    for heading in ("Setting", "Needed", "Secret", "Example", "What it is"):
        settings.add_column(heading, style="bold" if heading == "Setting" else "", no_wrap=heading == "Setting")
    one_of = {member for group in template.one_of for member in group}
    for setting in template.settings:
        needed = "yes" if setting.required else "one of these" if setting.name in one_of else ""
        secret = "yes" if setting.secret else ""
        row = (setting.name, needed, secret, setting.example or "", setting.description)
        settings.add_row(*(Text(cell) for cell in row))
    out.print(settings)


@commands.command("config", no_args_is_help=True)
def config(
    name: TemplateName,
    key: Annotated[str | None, typer.Option(help="What to call the server; braveSearch for brave-search.")] = None,
    form: Annotated[str, typer.Option("--format", help="stack, gateway, rest or cli.")] = "stack",
    given: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting that is no secret.")
    ] = None,
    path: Annotated[list[str] | None, typer.Option(help="A path that it may touch.")] = None,
) -> None:
    """Write what runs a template: in a stack, in the gateway's file, over REST or by a command; never a secret."""
    from app.gateway.templates import command_line, gateway_snippet, rest_body, stack_snippet

    writers = dict(zip(_FORMATS, (stack_snippet, gateway_snippet, rest_body, command_line), strict=True))
    if form not in writers:
        _give_up(f"--format={form!r} is unknown: give {', '.join(_FORMATS)}")
    template = _one(_templates(), name)
    values: dict[str, str] = {}
    for word in given or ():
        variable, equals, value = word.partition("=")
        if not equals or template.setting(variable) is None:
            known = ", ".join(setting.name for setting in template.settings) or "none"
            _give_up(f"--set {variable!r} is no setting of {template.name}: write NAME=VALUE; it has {known}")
        values[variable] = value
    write(writers[form](template, key, values, path or ()))


def _facts(template: Template, *, own: bool) -> list[tuple[str, str]]:
    paths = template.paths
    shown = {
        "type": template.type,
        "package": template.package,
        "program": template.bin,
        "url": template.url,
        "image": template.image,
        "transport": template.transport,
        "arguments": " ".join(template.arguments),
        "allowedPaths": f"{paths.description}{' Needed.' if paths.required else ''}" if paths else None,
        "offers": ", ".join(template.capabilities),
        "categories": ", ".join(template.categories),
        "internet": "needed" if template.internet else None,
        "needs": template.needs,
        "homepage": template.homepage,
        "source": "your own" if own else "built in",
        "deprecated": _deprecation(template),
    }
    return [(label, value) for label, value in shown.items() if value]


def _deprecation(template: Template) -> str | None:
    if template.deprecated is None:
        return None
    successor = template.deprecated.successor
    return template.deprecated.reason + (f" Use {successor} instead." if successor else "")


def _print(templates: Templates, chosen: list[Template], *, as_json: bool) -> None:
    if as_json:
        write(pretty(chosen))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for heading in ("Template", "Runs", "Needs", "What it is"):
        table.add_column(heading, no_wrap=heading == "Template", style="bold" if heading == "Template" else "")
    for template in chosen:
        needed = [setting.name for setting in template.settings if setting.required]
        needed += [" or ".join(group) for group in template.one_of]
        needed += ["allowedPaths"] if template.paths and template.paths.required else []
        description = ("Deprecated. " if template.deprecated else "") + template.description
        description += " (your own)" if templates.is_own(template.name) else ""
        runs = template.package or template.url or template.image or template.type
        table.add_row(*(Text(cell) for cell in (template.name, runs, ", ".join(needed), description)))
    consoles()[0].print(table)


def _templates() -> Templates:
    from app.cli._packages import build_templates
    from app.cli._problems import WiringError
    from app.settings import Settings, SettingsError

    try:
        return build_templates(Settings.load())
    except (SettingsError, WiringError) as error:
        _give_up(str(error))


def _one(templates: Templates, name: str) -> Template:
    from app.gateway.templates import UnknownTemplate

    try:
        return templates.get(name)
    except UnknownTemplate as error:
        _give_up(str(error))


def _give_up(message: str) -> NoReturn:
    consoles()[1].print(message, markup=False)
    raise typer.Exit(USAGE)

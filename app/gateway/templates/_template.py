"""What a template says of a server: how it is started, and what has to be given to it."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from app.gateway.spec import ServerType, Transport
from app.packages.names import Ecosystem, NotAllowedText, argument, bin_name, package_name, variable_name

ECOSYSTEMS: dict[ServerType, Ecosystem] = {"npx": "npm", "uv": "pypi"}
"""The registry of packages that a type of server comes from."""


class Setting(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One value that a server takes, given under `environment` or `secretEnvironment` by its name."""

    name: str
    description: str
    required: bool = False
    secret: bool = False
    example: str | None = None
    pattern: str | None = None
    """What a value given in plain text has to look like."""
    option: str | None = None
    """The option that the value is passed with, as `--timezone`; without one it is an environment variable."""


class Paths(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How a server is told which folders or files it may touch: `allowedPaths`."""

    description: str
    required: bool = True
    many: bool = True
    option: str | None = None
    """The option before each path; without one they are plain arguments."""


class Deprecation(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """That a server is not kept up any more."""

    reason: str
    successor: str | None = None
    """The template to use instead."""


class Template(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A known server."""

    name: str
    title: str
    description: str
    type: ServerType
    transport: Transport = "stdio"
    package: str | None = None
    bin: str | None = None
    """The program of the package, where that is not clear from its name."""
    url: str | None = None
    image: str | None = None
    port: int | None = None
    arguments: tuple[str, ...] = ()
    """Passed first, always."""
    environment: dict[str, str] = {}
    """Set always, unless given otherwise."""
    settings: tuple[Setting, ...] = ()
    paths: Paths | None = None
    one_of: tuple[tuple[str, ...], ...] = ()
    """Groups of settings of which at least one has to be given."""
    capabilities: tuple[str, ...] = ()
    """What the server is known to offer: tools, prompts, resources, sampling …"""
    categories: tuple[str, ...] = ()
    internet: bool = False
    """Whether it is of no use without the internet."""
    needs: str | None = None
    """What has to be on its machine besides the package, as `git`, or a browser."""
    homepage: str | None = None
    deprecated: Deprecation | None = None

    def setting(self, name: str) -> Setting | None:
        """The setting of that name."""
        return next((setting for setting in self.settings if setting.name == name), None)


class TemplateError(Exception):
    """A template that cannot be used; `problems` has every reason with its field."""

    def __init__(self, source: str, problems: list[str]) -> None:
        super().__init__(f"{source}: " + "; ".join(problems))
        self.source = source
        self.problems = tuple(problems)


_NAME = re.compile(r"[a-z0-9](-?[a-z0-9]){0,62}")


def template_name(text: str) -> str:
    """The name of the template that a server's key means: `braveSearch` is `brave-search`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", text)
    return re.sub(r"[^a-z0-9]+", "-", spaced.lower()).strip("-")


def read_template(source: str, given: object) -> Template:
    """A template from plain data. Raises `TemplateError` with everything that is wrong with it."""
    try:
        template = msgspec.convert(given, Template)
    except msgspec.ValidationError as error:
        raise TemplateError(source, [_told(str(error))]) from None
    problems = [*_problems(template)]
    if problems:
        raise TemplateError(source, problems)
    return template


def _problems(template: Template) -> list[str]:
    found: list[str] = []

    def check(field: str, good: bool, remedy: str) -> None:
        if not good:
            found.append(f"{field} {remedy}")

    check("name", bool(_NAME.fullmatch(template.name)), f"{template.name!r}: write lower-case letters, digits and '-'")
    needed = {"npx": "package", "uv": "package", "remote": "url", "image": "image"}.get(template.type)
    if needed:
        check(needed, bool(getattr(template, needed)), f"is missing: type {template.type} needs it")
    if template.package and (ecosystem := ECOSYSTEMS.get(template.type)):
        _try(found, "package", lambda: package_name(ecosystem, template.package or ""))
    if template.bin:
        _try(found, "bin", lambda: bin_name(template.bin or ""))
    for index, text in enumerate(template.arguments):
        _try(found, f"arguments[{index}]", lambda text=text: argument(text))
    for name in template.environment:
        _try(found, f"environment.{name}", lambda name=name: variable_name(name))
    names = [setting.name for setting in template.settings]
    check("settings", len(names) == len(set(names)), "has a name twice: keep one of them")
    for index, setting in enumerate(template.settings):
        field = f"settings[{index}]"
        _try(found, f"{field}.name", lambda setting=setting: variable_name(setting.name))
        check(f"{field}.option", not (setting.option and setting.secret), "is wrong: arguments are no secret")
        check(f"{field}.option", _is_option(setting.option), f"{setting.option!r} is not an option: write --name")
        check(f"{field}.pattern", _compiles(setting.pattern), f"{setting.pattern!r} is not a regular expression")
    for group in template.one_of:
        missing = [name for name in group if name not in names]
        check("oneOf", not missing, f"names {', '.join(missing)}, which is none of its settings")
    if template.paths:
        check("paths.option", _is_option(template.paths.option), f"{template.paths.option!r} is not an option")
    return found


def _try(found: list[str], field: str, check: Callable[[], object]) -> None:
    try:
        check()
    except NotAllowedText as error:
        found.append(f"{field} {error}")


def _is_option(option: str | None) -> bool:
    return option is None or re.fullmatch(r"--?[A-Za-z0-9][A-Za-z0-9-]*", option) is not None


def _compiles(pattern: str | None) -> bool:
    try:
        re.compile(pattern or "")
    except re.error:
        return False
    return True


def _told(message: str) -> str:
    """msgspec's message with the field first: `$.settings[0]: …`."""
    reason, _, where = message.partition(" - at ")
    field = where.strip("`").removeprefix("$").removeprefix(".")
    return f"{field} is wrong: {reason}" if field else reason

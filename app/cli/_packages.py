"""Packages and templates, put together from the settings: for the gateway, and for the commands about them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from pathlib import Path

from app.cli._outbound import USER_AGENT
from app.cli._problems import WiringError
from app.gateway.pinning import Packages
from app.gateway.templates import ECOSYSTEMS, Template, TemplateError, Templates, from_folder, from_mongodb
from app.packages.asking import AskLimits
from app.packages.declared_registries import Declared, RegistriesError, declared_registries
from app.packages.facts import Found
from app.packages.installing import Installer
from app.packages.registries import Registries, read_registries
from app.packages.shelf import Shelf
from app.resilience.http import HttpClient
from app.settings import Settings, variables_of_others

Close = Callable[[], Awaitable[None]]


def build_templates(settings: Settings) -> Templates:
    """The built-in templates and the operator's. Raises `WiringError`."""
    own: list[Template] = []
    try:
        if settings.templates_path is not None:
            own += from_folder(settings.templates_path)
        if settings.templates_collection is not None:
            if settings.mongodb_uri is None:
                raise WiringError(
                    f"MCP_TEMPLATES_COLLECTION={settings.templates_collection!r} needs a database: set MONGODB_URI"
                )
            if find_spec("pymongo") is None:
                raise WiringError("MCP_TEMPLATES_COLLECTION needs the pymongo package: pip install 'slipway[mongodb]'")
            own += from_mongodb(settings.mongodb_uri.get_secret_value(), settings.templates_collection)
        return Templates(own, replace=settings.templates_replace)
    except TemplateError as error:
        raise WiringError("\n".join(f"{error.source}: {problem}" for problem in error.problems)) from None


def registries_declared(settings: Settings) -> Declared | None:
    """What our own file or variable says. Raises `RegistriesError`."""
    return declared_registries(text=settings.package_registries, file=settings.package_registries_file)


def build_registries(settings: Settings) -> Registries:
    """What npm, uv and pip are configured to use here, and what our own file says. Raises `WiringError`."""
    try:
        return read_registries(variables_of_others(), home=Path.home(), own=registries_declared(settings))
    except RegistriesError as error:
        raise WiringError(str(error)) from None


def build_packages(settings: Settings, templates: Templates) -> tuple[Packages, Close]:
    """npm and PyPI, and how to close what was opened for them. Raises `WiringError`."""
    if find_spec("httpx") is None:
        raise WiringError("packages are asked for with httpx, which is missing: pip install 'slipway[http]'")
    registries = build_registries(settings)
    client = HttpClient(USER_AGENT)
    limits = AskLimits(
        timeout=settings.packages_timeout,
        max_bytes=settings.packages_max_bytes,
        fresh_seconds=settings.packages_cache_seconds,
        stale_seconds=settings.packages_stale_seconds,
    )
    shelf = Shelf(client, registries, known=known_packages(templates), limits=limits)
    return Packages(shelf, build_installer(settings, registries)), client.close


def build_installer(settings: Settings, registries: Registries) -> Installer:
    """Installs packages into the folder of the settings."""
    return Installer(
        settings.packages_path or Path.home() / ".cache" / "slipway" / "packages",
        registries.client_environment(variables_of_others()),
        scripts=settings.packages_scripts,
        seconds=settings.packages_install_timeout,
    )


def known_packages(templates: Templates) -> list[Found]:
    """The packages of the templates: known names."""
    return [
        Found(ecosystem=ecosystem, name=template.package, description=template.description, source="templates")
        for template in templates.all()
        if template.package and (ecosystem := ECOSYSTEMS.get(template.type))
    ]

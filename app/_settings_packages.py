"""What packages and templates read from the environment; a part of `app.settings`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings

from app._settings_types import OptionalPath, OptionalText, Seconds, env


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


Verify = Annotated[Literal["off", "warn", "require"], BeforeValidator(_lower)]


class PackageSettings(BaseSettings):
    """Where packages come from, how far they are trusted, and which templates there are."""

    packages_path: OptionalPath = Field(
        None,
        validation_alias=env("MCP_PACKAGES_PATH"),
        description="a folder that this user may write to; packages are installed there",
    )
    packages_verify: Verify = Field(
        "off", validation_alias=env("MCP_PACKAGES_VERIFY"), description="one of off, warn, require"
    )
    packages_strict: bool = Field(
        False,
        validation_alias=env("MCP_PACKAGES_STRICT"),
        description="true or false: whether dependencies have to be on the allow list too",
    )
    packages_scripts: bool = Field(
        False,
        validation_alias=env("MCP_PACKAGES_SCRIPTS"),
        description="true or false: whether packages may run scripts and builds of their own while they are installed",
    )
    packages_timeout: Seconds = Field(
        15.0, validation_alias=env("MCP_PACKAGES_TIMEOUT"), description="seconds a registry has to answer"
    )
    packages_install_timeout: Seconds = Field(
        300.0, validation_alias=env("MCP_PACKAGES_INSTALL_TIMEOUT"), description="seconds an installation may take"
    )
    packages_cache_seconds: Seconds = Field(
        300.0,
        validation_alias=env("MCP_PACKAGES_CACHE_SECONDS"),
        description="seconds an answer is used again",
    )
    packages_stale_seconds: float = Field(
        86_400.0,
        ge=0,
        le=604_800,
        validation_alias=env("MCP_PACKAGES_STALE_SECONDS"),
        description="seconds an old answer may stand in while a registry is away, 0 to 604800",
    )
    packages_max_bytes: int = Field(
        32 * 1024 * 1024,
        ge=1024,
        le=1024**3,
        validation_alias=env("MCP_PACKAGES_MAX_BYTES"),
        description="bytes of the largest answer of a registry that is taken, 1024 to 1073741824",
    )
    package_registries_file: OptionalPath = Field(
        None,
        validation_alias=env("MCP_PACKAGE_REGISTRIES_FILE"),
        description="a readable file that says which registries packages come from",
    )
    package_registries: OptionalText = Field(
        None,
        validation_alias=env("MCP_PACKAGE_REGISTRIES"),
        description="the same as JSON or YAML in the variable itself; tokens are in variables that it names",
    )
    templates_path: OptionalPath = Field(
        None, validation_alias=env("MCP_TEMPLATES_PATH"), description="a folder with templates of your own"
    )
    templates_collection: OptionalText = Field(
        None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_.-]{0,99}$",
        validation_alias=env("MCP_TEMPLATES_COLLECTION"),
        description="the collection of MONGODB_URI's database that has templates of your own",
    )
    templates_replace: bool = Field(
        False,
        validation_alias=env("MCP_TEMPLATES_REPLACE"),
        description="true or false: whether a template of yours may take the place of a built-in one",
    )

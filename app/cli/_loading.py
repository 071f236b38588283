"""The settings of a command, or its end with what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from app.settings import Settings


def load_settings(**overrides: object) -> Settings:
    """Read the environment; an override that is not None wins. What is wrong is told on stderr and ends the command."""
    # Imported late: most of a command's start would be spent on it, and `--help` needs none of it.
    from app._settings_checks import SettingsError
    from app.cli._problems import complain
    from app.settings import Settings

    try:
        return Settings.load(**overrides)
    except SettingsError as error:
        raise typer.Exit(complain(error.problems)) from None

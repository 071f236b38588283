"""`slipway version`."""

from __future__ import annotations

import platform

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("version")(version)


def version() -> None:
    """Print the versions of slipway, Python and the protocol."""
    from app.protocol.revisions import REVISIONS
    from app.version import VERSION

    typer.echo(f"slipway {VERSION}, Python {platform.python_version()}, MCP {', '.join(REVISIONS)}")

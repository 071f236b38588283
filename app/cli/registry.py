"""`slipway registry`: the directory in which agents find each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli._loading import load_settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("registry")(registry)


def registry(
    data: Annotated[
        Path | None,
        typer.Option(help="A folder that outlives the process: the agents, or a copy of them where Redis has them."),
    ] = None,
    host: Annotated[str | None, typer.Option(help="The address to bind. MCP_HOST.")] = None,
    port: Annotated[str | None, typer.Option(help="The port, 0 for any free one. MCP_PORT.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error. MCP_LOG_LEVEL.")] = None,
    log_format: Annotated[str | None, typer.Option(help="json or text. MCP_LOG_FORMAT.")] = None,
) -> None:
    """Run a registry until told to end: SIGTERM or Ctrl-C drains, a second one ends at once.

    Agents are kept in Redis where one is configured (REDIS_URL), for any number of replicas; in the folder of --data
    otherwise, for one; with neither, in memory.
    """
    from app.cli._registry import serve_registry

    settings = load_settings(transport="http", host=host, port=port, log_level=log_level, log_format=log_format)
    raise typer.Exit(serve_registry(settings, data))

"""`slipway serve`: like `slipway` alone, with options that win over the environment."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli._loading import load_settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("serve")(serve)


def serve(
    transport: Annotated[
        str | None,
        typer.Option(help="stdio, or http, sse, websocket (each serves all three). MCP_TRANSPORT."),
    ] = None,
    host: Annotated[str | None, typer.Option(help="The address to bind. MCP_HOST.")] = None,
    port: Annotated[str | None, typer.Option(help="The port, 0 for any free one. MCP_PORT.")] = None,
    workers: Annotated[str | None, typer.Option(help="How many processes. MCP_WORKERS.")] = None,
    toolsets: Annotated[str | None, typer.Option(help="Toolsets, separated by commas. MCP_TOOLSETS.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error. MCP_LOG_LEVEL.")] = None,
    log_format: Annotated[str | None, typer.Option(help="json or text. MCP_LOG_FORMAT.")] = None,
) -> None:
    """Serve until told to end: SIGTERM or Ctrl-C drains, a second one ends at once."""
    from app.cli import _start

    settings = load_settings(
        transport=transport,
        host=host,
        port=port,
        workers=workers,
        toolsets=toolsets,
        log_level=log_level,
        log_format=log_format,
    )
    raise typer.Exit(_start.serve(settings))

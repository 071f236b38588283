"""`slipway gateway`: many external servers behind one endpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli._loading import load_settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("gateway")(gateway)


def gateway(
    config: Annotated[
        Path | None, typer.Option(help="The file that declares servers; followed while it changes.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="The address to bind. MCP_HOST.")] = None,
    port: Annotated[str | None, typer.Option(help="The port (8051), 0 for any free one. MCP_PORT.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error. MCP_LOG_LEVEL.")] = None,
    log_format: Annotated[str | None, typer.Option(help="json or text. MCP_LOG_FORMAT.")] = None,
) -> None:
    """Run external servers and serve all of them at /mcp, each at /servers/<id>/mcp. SIGTERM drains."""
    from app.cli import _start
    from app.cli._problems import complain

    settings = load_settings(
        transport="http", host=host, port=port, workers=1, log_level=log_level, log_format=log_format
    )
    from app.cli._gateway import PORT, build_gateway

    if "port" not in settings.model_fields_set:
        settings = settings.model_copy(update={"port": PORT})
    problems = [] if config is None else _problems(config)
    if problems:
        raise typer.Exit(complain(problems))
    fields = {"configuration": str(config or "none: servers are started over /servers")}
    raise typer.Exit(_start.serve_application(settings, lambda: build_gateway(settings, config), fields))


def _problems(config: Path) -> list[str]:
    """What is wrong with the file, before anything is started."""
    from app.gateway.manager.declaration import DeclarationError, read_declaration

    try:
        read_declaration(str(config), config.read_text("utf-8"))
    except OSError as error:
        return [f"--config {config} cannot be read ({error.strerror}): name a file of YAML"]
    except UnicodeDecodeError:
        return [f"--config {config} is no text in UTF-8"]
    except DeclarationError as error:
        return [f"{config}: {problem}" for problem in error.problems]
    return []

"""`slipway agent`: a program that tells the mesh what it can do, and does it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli._loading import load_settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("agent")(agent)


def agent(
    config: Annotated[
        Path | None,
        typer.Option(help="agent-config.yaml: capabilities, dependencies, health_interval, retry_attempts."),
    ] = None,
    module: Annotated[
        list[str] | None,
        typer.Option(help="A Python module with @capability functions; may be given again. MCP_AGENT_MODULES."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The agent's name. MCP_AGENT_NAME.")] = None,
    registry: Annotated[str | None, typer.Option(help="The registry's address. MCP_MESH_REGISTRY_URL.")] = None,
    host: Annotated[str | None, typer.Option(help="The address to bind. MCP_HOST.")] = None,
    port: Annotated[str | None, typer.Option(help="The port, 0 for any free one. MCP_PORT.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error. MCP_LOG_LEVEL.")] = None,
    log_format: Annotated[str | None, typer.Option(help="json or text. MCP_LOG_FORMAT.")] = None,
) -> None:
    """Run an agent until told to end. SIGTERM deregisters it, finishes what runs, and refuses what is new.

    With MCP_MESH_HTTP_ENABLED=false it speaks over stdin and stdout instead of listening, and does not register.
    """
    settings = load_settings(
        host=host,
        port=port,
        service_name=name,
        mesh_registry_url=registry,
        agent_modules=",".join(module) if module else None,
        log_level=log_level,
        log_format=log_format,
    )
    from app.cli._agent import serve_agent

    raise typer.Exit(serve_agent(settings, config))

"""`slipway bridge`: a server that speaks on its standard streams, over HTTP, SSE and WebSocket for many."""

from __future__ import annotations

from typing import Annotated, cast

import typer

from app.cli._loading import load_settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bridge", context_settings={"allow_interspersed_args": False})(bridge)


def bridge(
    command: Annotated[list[str], typer.Argument(help="After --, what to start: -- npx -y some-mcp-server")],
    host: Annotated[str | None, typer.Option(help="The address to bind. MCP_HOST.")] = None,
    port: Annotated[str | None, typer.Option(help="The port, 0 for any free one. MCP_PORT.")] = None,
    mode: Annotated[str, typer.Option(help="shared, or per-session: a child for each session.")] = "shared",
    children: Annotated[
        int | None, typer.Option(min=1, max=1000, help="Children that share the work (1), or as many sessions (20).")
    ] = None,
    idle: Annotated[float | None, typer.Option(min=1, help="End a child unused for so many seconds.")] = None,
    env: Annotated[list[str] | None, typer.Option("--env", "-e", help="A variable for the child: NAME=VALUE.")] = None,
    directory: Annotated[str | None, typer.Option(help="Where the child starts; here, if not given.")] = None,
    give_up: Annotated[
        bool, typer.Option("--give-up", help="End with status 1 when the child keeps ending: something else starts us.")
    ] = False,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error. MCP_LOG_LEVEL.")] = None,
    log_format: Annotated[str | None, typer.Option(help="json or text. MCP_LOG_FORMAT.")] = None,
) -> None:
    """Serve one stdio server over every transport, at /mcp, /sse and a WebSocket. SIGTERM drains."""
    import os

    from app.cli import _start
    from app.cli._problems import complain
    from app.settings import variables_for_children, variables_of_others

    settings = load_settings(
        transport="http", host=host, port=port, workers=1, log_level=log_level, log_format=log_format
    )
    problems: list[str] = []
    if mode not in ("shared", "per-session"):
        problems.append(f"--mode is {mode!r}: give shared or per-session")
    given: dict[str, str] = {}
    for pair in env or ():
        name, equals, value = pair.partition("=")
        if not name or not equals:
            problems.append(f"--env is {pair!r}: write NAME=VALUE")
        given[name] = value
    if problems:
        raise typer.Exit(complain(problems))
    from app.cli._bridge import BridgePlan, Mode, build_bridge

    plan = BridgePlan(
        command=tuple(command),
        environment={**variables_of_others(), **variables_for_children(), **given},
        mode=cast("Mode", mode),
        children=children or (20 if mode == "per-session" else 1),
        idle=idle,
        directory=directory or os.getcwd(),  # noqa: PTH109 (a text is wanted)
        give_up=give_up,
    )
    fields = {"bridging": plan.name, "mode": plan.mode, "children": plan.children}
    lost: list[str] = []
    status = _start.serve_application(settings, lambda: build_bridge(settings, plan, lost.append), fields)
    if lost:
        typer.echo(f"gave up: {lost[0]}", err=True)  # the last line of all: whoever started us looks there
    raise typer.Exit(1 if lost else status)

"""`slipway run`: try it on this machine, with nothing configured and nothing left behind."""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from app.cli._loading import load_settings

_TRIAL = ("echo", "text=hello")
_TOOLSETS = ("platform", "map", "documents", "war", "search")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)


def run(
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="The port; a free one if it is taken.")] = None,
    toolsets: Annotated[str | None, typer.Option(help="Toolsets, separated by commas.")] = None,
) -> None:
    """Serve over HTTP on embedded stores, and say how to use it. Ctrl-C ends it."""
    from app.cli import _start
    from app.cli._problems import FAILED, complain

    settings = load_settings(
        transport="http",
        port=port,
        toolsets=toolsets,
        workers=1,
        log_format="text",
    )
    if "toolsets" not in settings.model_fields_set:
        settings = settings.model_copy(update={"toolsets": _TOOLSETS})
    if "log_level" not in settings.model_fields_set:
        settings = settings.model_copy(update={"log_level": "warning"})
    try:
        from app.server import BindError, port_of
    except ModuleNotFoundError as error:
        missing = f"{error.name} is missing, which listening needs: pip install 'slipway[http]'"
        raise typer.Exit(complain([missing])) from None
    try:
        listener = _listen(settings.host, settings.port)
    except BindError as error:
        raise typer.Exit(complain([error], FAILED)) from None
    _step("stores: " + ("Redis, as REDIS_URL says" if settings.redis_address else "embedded, in this process"))
    _step(f"toolsets: {', '.join(settings.toolsets)}")
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{shown}:{port_of(listener)}"
    raise typer.Exit(
        _start.serve(settings, listener=listener, on_listening=lambda: _welcome(address, settings.toolsets))
    )


def _listen(host: str, port: int) -> socket.socket:
    """The wanted port, or any free one when somebody has it."""
    from app.server import BindError, bind

    try:
        return bind(host, port)
    except BindError:
        listener = bind(host, 0)
        _step(f"port {port} is taken: another one is used")
        return listener


def _welcome(address: str, toolsets: Sequence[str]) -> None:
    from app.cli._show import program

    _step("ready")
    command = " ".join((program(), "call", f"{address}/mcp", *_TRIAL))
    lines = (
        "",
        f"  page     {address}/",
        *((f"  map      {address}/map/default",) if "map" in toolsets else ()),
        f"  MCP      {address}/mcp",
        f"  try      {command}",
        "",
        "  Ctrl-C ends it.",
        "",
    )
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _step(text: str) -> None:
    sys.stdout.write(f"› {text}\n")
    sys.stdout.flush()

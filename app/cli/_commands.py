"""Every subcommand: each is a module here with a function `register(app)`."""

from __future__ import annotations

from importlib import import_module

import typer

_COMMANDS = (
    "serve",
    "run",
    "bridge",
    "gateway",
    "servers",
    "templates",
    "packages",
    "call",
    "load",
    "operator",
    "registry",
    "agent",
    "review",
    "version",
)

app = typer.Typer(
    name="slipway",
    help="MCP servers: serve, call and load-test them. Alone, slipway serves by the environment (MCP_TRANSPORT …).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for _name in _COMMANDS:
    import_module(f"app.cli.{_name}").register(app)

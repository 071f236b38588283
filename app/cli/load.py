"""`slipway load`: how a server holds under many connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated

import typer

from app.cli._arguments import ArgumentError, parse_arguments
from app.cli._show import consoles, pretty, write
from app.client import ClientError, revision_named, transport_of
from app.client.load import MAX_CONNECTIONS, MAX_SECONDS, HttpCaller, LoadPlan, LoadReport, WebSocketCaller, run_load


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("load", no_args_is_help=True)(load)


def load(
    url: Annotated[str, typer.Argument(help="http(s)://…/mcp, http(s)://…/messages or ws(s)://…/mcp.")],
    tool: Annotated[str, typer.Argument(help="The tool to call.")] = "echo",
    arguments: Annotated[
        list[str] | None,
        typer.Argument(help="key=value; key:=json where the value is not text.", metavar="[KEY=VALUE]…"),
    ] = None,
    connections: Annotated[int, typer.Option("--connections", "-c", min=1, max=MAX_CONNECTIONS)] = 10,
    rate: Annotated[float, typer.Option("--rate", "-r", min=0, help="Calls a second in all; 0: as many as go.")] = 0,
    duration: Annotated[float, typer.Option("--duration", "-d", min=0.1, max=MAX_SECONDS, help="Seconds.")] = 10,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds after which a call counts as lost.")] = 30,
    era: Annotated[str, typer.Option(help="new (2026-07-28), old (2025-11-25), or the date of a revision.")] = "new",
    token: Annotated[str | None, typer.Option(help="A bearer token to send.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Call a tool again and again over many connections, and say how long the answers took.

    Exit status: 0 when every call succeeded, 1 when some did not, 2 for a mistake in the command.
    """
    errors = consoles()[1]
    transport = transport_of(url)
    if transport not in ("http", "bare", "websocket"):
        errors.print(f"[red]{url!r} cannot be load-tested: give an http, https, ws or wss URL of /mcp or /messages[/]")
        raise typer.Exit(2)
    try:
        words = list(arguments or (["text=hello"] if tool == "echo" else []))
        revision = None if transport == "bare" else revision_named("new" if era == "auto" else era)
        sent = parse_arguments(words, {})
    except (ArgumentError, ClientError) as error:
        errors.print(f"[red]{error}[/]")
        raise typer.Exit(2) from None
    headers = {"authorization": f"Bearer {token}"} if token else {}

    def caller() -> HttpCaller | WebSocketCaller:
        kind = WebSocketCaller if transport == "websocket" else HttpCaller
        return kind(url, tool, sent, revision=revision, headers=headers)

    plan = LoadPlan(connections=connections, rate=rate, seconds=duration, patience=timeout)
    try:
        report = _run(plan, caller)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    write(pretty(_figures(plan, report))) if as_json else _show(plan, report)
    raise typer.Exit(0 if report.latencies.total and not report.errors else 1)


def _run(plan: LoadPlan, caller: Callable[[], HttpCaller | WebSocketCaller]) -> LoadReport:
    from app.process import loop_factory, raise_file_limit

    raise_file_limit()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(run_load(plan, caller))


def _figures(plan: LoadPlan, report: LoadReport) -> dict[str, object]:
    times = report.latencies
    return {
        "connections": {"asked": plan.connections, "open": report.connected},
        "seconds": round(report.seconds, 3),
        "answers": times.total,
        "answers_per_second": round(report.per_second, 1),
        "milliseconds": {
            "p50": round(times.quantile(0.5) * 1000, 3),
            "p90": round(times.quantile(0.9) * 1000, 3),
            "p99": round(times.quantile(0.99) * 1000, 3),
            "max": round(times.longest * 1000, 3),
        },
        "errors": dict(report.errors),
    }


def _show(plan: LoadPlan, report: LoadReport) -> None:
    times = report.latencies
    lines = [
        f"connections   {report.connected} of {plan.connections}",
        f"answers       {times.total} in {report.seconds:.1f} s, {report.per_second:.0f} a second",
        *(
            f"{label:<13} {seconds * 1000:.2f} ms"
            for label, seconds in (
                ("p50", times.quantile(0.5)),
                ("p90", times.quantile(0.9)),
                ("p99", times.quantile(0.99)),
                ("longest", times.longest),
            )
        ),
        f"errors        {sum(report.errors.values())}",
        *(f"  {count} × {kind}" for kind, count in report.errors.most_common()),
    ]
    write("\n".join(lines))

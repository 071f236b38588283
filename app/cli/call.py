"""`slipway call`: one tool of any MCP server, over any transport and era."""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated, Any

import typer

from app.cli._arguments import ArgumentError, parse_arguments
from app.cli._show import consoles, pretty, show_result, show_tools, write
from app.client import Client, ClientError, JsonObject, RemoteError, revision_named

_TRANSPORTS = ("auto", "stdio", "http", "sse", "websocket", "bare")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("call", no_args_is_help=True)(call)


def call(
    target: Annotated[
        str, typer.Argument(help="A URL (http, https, ws, wss), or a command to run and speak stdio to.")
    ],
    tool: Annotated[str | None, typer.Argument(help="The tool to call. None: the tools are listed.")] = None,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(help="key=value; key:=json where the value is not text.", metavar="[KEY=VALUE]…"),
    ] = None,
    list_tools: Annotated[bool, typer.Option("--list", "-l", help="List the tools instead of calling one.")] = False,
    era: Annotated[
        str, typer.Option(help="auto, new (2026-07-28), old (2025-11-25), or the date of a revision.")
    ] = "auto",
    transport: Annotated[
        str, typer.Option(help=f"{', '.join(_TRANSPORTS)}: auto goes by the URL (/sse, /messages, ws://).")
    ] = "auto",
    token: Annotated[str | None, typer.Option(help="A bearer token to send.")] = None,
    token_file: Annotated[typer.FileText | None, typer.Option(help="A file that holds the bearer token.")] = None,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for an answer.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole result as JSON.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say what was agreed on with the server.")] = False,
) -> None:
    """Call a tool, or list the tools of a server.

    Exit status: 0 when the tool succeeded, 1 when it failed, 2 for a mistake in the command, 3 when the server
    cannot be reached or does not speak MCP.
    """
    errors = consoles()[1]
    if transport not in _TRANSPORTS:
        errors.print(f"[red]--transport={transport}[/] is wrong: give one of {', '.join(_TRANSPORTS)}")
        raise typer.Exit(2)
    secret = token_file.read().strip() if token_file else token
    headers = {"authorization": f"Bearer {secret}"} if secret else {}
    chosen: Any = None if transport == "auto" else transport
    try:
        client = Client(
            target,
            transport=chosen,
            revision=revision_named(era),
            headers=headers,
            timeout=timeout,
            watch=_watch,
            elicit=_elicit if sys.stdin.isatty() else None,
        )
        wanted = None if list_tools else tool
        raise typer.Exit(asyncio.run(_work(client, wanted, arguments or [], timeout, as_json=as_json, verbose=verbose)))
    except ArgumentError as error:
        errors.print(f"[red]{_plain(error)}[/]")
        raise typer.Exit(2) from None
    except RemoteError as error:
        errors.print(f"[red]the server refuses:[/] {_plain(error)}")
        if error.data is not None:
            errors.print(_plain(pretty(error.data)))
        raise typer.Exit(1) from None
    except (ClientError, TimeoutError) as error:
        errors.print(f"[red]{_plain(error) or f'no answer within {timeout:g} seconds'}[/]")
        raise typer.Exit(3) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


async def _work(
    client: Client, tool: str | None, words: list[str], timeout: float, *, as_json: bool, verbose: bool
) -> int:
    async with asyncio.timeout(timeout), client:
        if verbose:
            _say_agreed(client)
        if tool is None:
            tools = await client.list_tools()
            write(pretty(tools)) if as_json else show_tools(tools)
            return 0
        schema = await _schema(client, tool) if words else {}
        result = await client.call_tool(tool, parse_arguments(words, schema))
    write(pretty(result)) if as_json else show_result(result)
    return 1 if result.get("isError") else 0


async def _schema(client: Client, tool: str) -> JsonObject:
    """The tool's input schema; an unknown tool has none, and the server will say that it is unknown."""
    for known in await client.list_tools():
        if known.get("name") == tool:
            return known.get("inputSchema") or {}
    return {}


def _say_agreed(client: Client) -> None:
    name, version = client.server_info.get("name", "?"), client.server_info.get("version", "?")
    revision = client.revision.name if client.revision else "no revision"
    consoles()[1].print(f"[dim]{_plain(name)} {_plain(version)} · {client.transport} · {revision}[/]")


def _watch(method: str, params: JsonObject) -> None:
    """Progress and log messages, as they come, on stderr."""
    errors = consoles()[1]
    if method == "notifications/progress":
        total = f"/{params['total']:g}" if isinstance(params.get("total"), int | float) else ""
        errors.print(f"[dim]… {params.get('progress')}{total} {_plain(params.get('message', ''))}[/]")
    elif method == "notifications/message":
        data = params.get("data")
        text = data if isinstance(data, str) else pretty(data)
        errors.print(f"[dim]{_plain(params.get('level', ''))}: {_plain(text)}[/]")


async def _elicit(params: JsonObject) -> JsonObject:
    """Ask the person at the terminal, one property after the other; an empty answer to the first declines."""
    errors = consoles()[1]
    errors.print(f"[bold]{_plain(params.get('message', 'The server asks:'))}[/]")
    if params.get("url"):
        errors.print(_plain(params["url"]))
    schema: JsonObject = params.get("requestedSchema") or {}
    words: list[str] = []
    properties: dict[str, JsonObject] = schema.get("properties") or {}
    for name, about in properties.items():
        label = about.get("title") or about.get("description") or name
        errors.print(f"{_plain(label)} [dim](empty: none)[/]: ", end="")
        answer = (await asyncio.to_thread(sys.stdin.readline)).strip()
        if answer:
            words.append(f"{name}={answer}")
    if not words:
        return {"action": "decline"}
    return {"action": "accept", "content": parse_arguments(words, schema)}


def _plain(value: object) -> str:
    from rich.markup import escape

    return escape(str(value))

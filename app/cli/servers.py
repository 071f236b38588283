"""`slipway servers`: the external servers of a gateway."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from app.cli._loading import load_settings
from app.cli._show import consoles, pretty, program, write

if TYPE_CHECKING:
    from app.cli._gateway_client import GatewayClient, GatewayProblem, JsonObject

FAILED, USAGE, AWAY, NOT_READY = 1, 2, 3, 4

GatewayUrl = Annotated[
    str | None, typer.Option("--gateway", "-g", help="The gateway's address. MCP_GATEWAY_URL.", metavar="URL")
]
Token = Annotated[str | None, typer.Option(help="A bearer token to send. MCP_GATEWAY_TOKEN.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ServerName = Annotated[str, typer.Argument(help="Its name, as `slipway servers list` shows it.")]

commands = typer.Typer(
    help="Start, list and stop the external servers of a gateway.\n\nExit status: 0 when it was done, 1 when the "
    "gateway refused or the server failed, 2 for a mistake in the command, 3 when no gateway answers, 4 when the "
    "server was not ready in time.",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(commands, name="servers")


@commands.command("start", no_args_is_help=True)
def start(
    name: Annotated[str | None, typer.Argument(help="What to call it; alone, also the template to use.")] = None,
    template: Annotated[str | None, typer.Option(help="A known server; `slipway templates list` shows them.")] = None,
    package: Annotated[str | None, typer.Option(help="npm:NAME or pypi:NAME, with @VERSION if wanted.")] = None,
    image: Annotated[str | None, typer.Option(help="A container image.")] = None,
    url: Annotated[str | None, typer.Option(help="Where a remote server is.")] = None,
    transport: Annotated[str | None, typer.Option(help="stdio, http, sse or websocket.")] = None,
    port: Annotated[int | None, typer.Option(help="Where it listens, for transports other than stdio.")] = None,
    env: Annotated[list[str] | None, typer.Option("--env", "-e", metavar="NAME=VALUE", help="A variable.")] = None,
    env_file: Annotated[Path | None, typer.Option(help="A file of NAME=VALUE lines, for secrets.")] = None,
    secret_env: Annotated[
        list[str] | None, typer.Option(metavar="NAME=SECRET/KEY", help="A variable from a Kubernetes Secret.")
    ] = None,
    arg: Annotated[list[str] | None, typer.Option(help="One more argument, as often as need be.")] = None,
    allowed_path: Annotated[list[str] | None, typer.Option(help="A folder that it may touch.")] = None,
    ttl: Annotated[float | None, typer.Option(min=1, help="Seconds after which it is stopped.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Take the place of one that differs.")] = False,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait until it is ready; 0 returns at once.")] = 120,
    gateway: GatewayUrl = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Start a server and wait until its tools are there. The same again changes nothing."""
    from app.cli._server_words import WordError, environment_of, options_for, package_of, secrets_of

    try:
        kind, plain, version = package_of(package)
        environment = environment_of(env or (), env_file)
        secrets = secrets_of(secret_env or ())
    except WordError as error:
        _complain(str(error))
    bare = not (template or package or image or url)
    given: JsonObject = {
        "name": name,
        "template": name if bare else template,
        "type": kind,
        "package": plain,
        "version": version,
        "image": image,
        "url": url,
        "transport": transport,
        "port": port,
        "environment": environment,
        "secretEnvironment": secrets,
        "args": arg,
        "allowedPaths": allowed_path,
        "ttlSeconds": ttl,
        "replace": replace,
    }
    if image:
        given["type"] = "image"
    if url:
        given["type"] = "remote"
    wish = {field: value for field, value in given.items() if value}
    with _asking(gateway, token, options_for) as client:
        server, made = client.start(wish)
        server = _await(client, server, wait, quiet=as_json)
        if as_json:
            write(pretty(server))
        else:
            _told(client, server, made=made)
    if server["phase"] == "failed":
        raise typer.Exit(FAILED)
    if wait and server["phase"] not in ("ready", "degraded"):
        raise typer.Exit(NOT_READY)


@commands.command("list")
def list_servers(gateway: GatewayUrl = None, token: Token = None, as_json: AsJson = False) -> None:
    """List the servers, with their state and how many tools each has."""
    with _asking(gateway, token) as client:
        servers = client.list()
    if as_json:
        write(pretty(servers))
    elif servers:
        from app.cli._server_tables import servers_table

        consoles()[0].print(servers_table(servers))
    else:
        consoles()[1].print(f"There are no servers. Start one: {program()} servers start time")


@commands.command("status", no_args_is_help=True)
def status(name: ServerName, gateway: GatewayUrl = None, token: Token = None, as_json: AsJson = False) -> None:
    """Show one server, and ask whether it answers. Exit status 1 when it does not."""
    with _asking(gateway, token) as client:
        server, health = client.get(name), client.health(name)
    if as_json:
        write(pretty({**server, "health": health}))
    else:
        from app.cli._server_tables import server_table

        consoles()[0].print(server_table(server, health))
    raise typer.Exit(0 if health["healthy"] else FAILED)


@commands.command("logs", no_args_is_help=True)
def logs(
    name: ServerName,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, max=10_000, help="How many of the last lines.")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written from now on.")] = False,
    gateway: GatewayUrl = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show what a server wrote to its log."""
    with _asking(gateway, token) as client:
        if as_json and not follow:
            write(pretty(client.logs(name, lines)))
            return
        try:
            for line in client.follow(name, lines) if follow else client.logs(name, lines):
                write(line)
        except KeyboardInterrupt:
            raise typer.Exit(130) from None


@commands.command("stop", no_args_is_help=True)
def stop(
    names: Annotated[list[str], typer.Argument(help="One or more servers.", metavar="NAME…")],
    gateway: GatewayUrl = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Stop servers, and wait until they are gone."""
    with _asking(gateway, token) as client:
        for name in names:
            client.stop(name)
            if not as_json:
                consoles()[1].print(f"{name} is stopped", markup=False)
    if as_json:
        write(pretty({"stopped": names}))


@contextmanager
def _asking(
    url: str | None, token: str | None, hints: Callable[[Sequence[str]], Sequence[str]] = lambda _: ()
) -> Generator[GatewayClient]:
    """A client of the gateway. What goes wrong is told, with hints about its fields, and ends the command."""
    with _client(url, token) as client:
        from app.cli._gateway_client import GatewayProblem

        try:
            yield client
        except GatewayProblem as problem:
            _give_up(problem, hints(problem.fields))


def _client(url: str | None, token: str | None) -> GatewayClient:
    from app.cli._problems import complain

    settings = load_settings(gateway_url=url)
    try:
        from app.cli._gateway_client import GatewayClient
    except ModuleNotFoundError as error:
        raise typer.Exit(complain([f"{error.name} is missing: pip install 'slipway[http]'"])) from None
    kept = settings.gateway_token.get_secret_value() if settings.gateway_token else None
    return GatewayClient(settings.gateway_url, token or kept)


def _await(client: GatewayClient, server: JsonObject, seconds: float, *, quiet: bool) -> JsonObject:
    """The server once it is up or down, with every step on the way shown on a terminal."""
    from app.cli._server_tables import what

    errors = consoles()[1]
    deadline = time.monotonic() + seconds
    title = f"{server['id']} ({what(server)})"
    with nullcontext() if quiet else errors.status(title) as shown:
        while server["phase"] not in ("ready", "degraded", "failed") and (left := deadline - time.monotonic()) > 0:
            if shown is not None:
                shown.update(f"{title}: {server['phase']}")
            server = client.changed(server["id"], server["revision"], min(left, 20))
    return server


def _told(client: GatewayClient, server: JsonObject, *, made: bool) -> None:
    from app.cli._server_tables import server_table

    output, errors = consoles()
    output.print(server_table(server, None))
    match server["phase"]:
        case "ready" | "degraded":
            call = f"{program()} call {client.url}/servers/{server['id']}/mcp"
            errors.print(f"[dim]{'' if made else 'It ran already. '}Its tools: {call}[/]")
        case "failed":
            errors.print(f"[dim]Its log: {program()} servers logs {server['id']}[/]")
        case _:
            errors.print(f"[dim]It is still {server['phase']}: {program()} servers status {server['id']}[/]")


def _complain(text: str) -> NoReturn:
    consoles()[1].print(text, style="red", markup=False)
    raise typer.Exit(USAGE)


def _give_up(problem: GatewayProblem, hints: Sequence[str] = ()) -> NoReturn:
    errors = consoles()[1]
    errors.print(str(problem), style="red", markup=False)
    for line in problem.lines:
        errors.print(f"  {line}", markup=False)
    for hint in hints:
        errors.print(hint, style="dim", markup=False)
    raise typer.Exit(FAILED if problem.status else AWAY)

"""`slipway operator`: makes workloads from `MCPAgent` objects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("operator")(operator)


def operator(
    lease: Annotated[str, typer.Option(help="The lease that the working replica holds.")] = "operator-leader",
    namespace: Annotated[
        str | None, typer.Option(help="The namespace of the lease and of the registry. KUBERNETES_NAMESPACE.")
    ] = None,
    kubeconfig: Annotated[
        Path | None, typer.Option(help="The cluster and the user, outside a pod. KUBECONFIG, or ~/.kube/config.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="The address of probes and metrics. MCP_HOST.")] = None,
    port: Annotated[str | None, typer.Option(help="Their port, 0 for any free one. MCP_PORT.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error. MCP_LOG_LEVEL.")] = None,
    log_format: Annotated[str | None, typer.Option(help="json or text. MCP_LOG_FORMAT.")] = None,
) -> None:
    """Make workloads from the cluster's MCPAgent objects, and keep them as the objects say, until told to end.

    Any number of replicas may run: the one with the lease works, the others wait for it.
    """
    from app._settings_checks import SettingsError
    from app.cli._operator import serve_operator
    from app.cli._problems import complain
    from app.settings import Settings

    try:
        settings = Settings.load(
            transport="http",
            namespace=namespace,
            kubeconfig=None if kubeconfig is None else str(kubeconfig),
            host=host,
            port=port,
            log_level=log_level,
            log_format=log_format,
        )
    except SettingsError as error:
        raise typer.Exit(complain(error.problems)) from None
    raise typer.Exit(serve_operator(settings, lease))

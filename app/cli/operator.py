"""`slipway operator`: makes workloads from `MCPAgent` objects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli._loading import load_settings


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
    from app.cli._operator import serve_operator

    settings = load_settings(
        transport="http",
        namespace=namespace,
        kubeconfig=None if kubeconfig is None else str(kubeconfig),
        host=host,
        port=port,
        log_level=log_level,
        log_format=log_format,
    )
    raise typer.Exit(serve_operator(settings, lease))

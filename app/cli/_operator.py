"""The operator, wired: settings to duties, probes to a socket."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from functools import partial
from typing import TYPE_CHECKING

from app.cli._problems import FAILED, complain
from app.cli._start import begin
from app.settings import Settings, variables_of_others
from app.version import VERSION

if TYPE_CHECKING:
    from app.asgi import ASGIApp
    from app.lifecycle import Lifecycle
    from app.operator.term import Duties

logger = logging.getLogger("slipway.operator")


def serve_operator(settings: Settings, lease: str) -> int:
    """Run until told to end; the exit status."""
    begin(settings)
    try:
        from app.kubernetes.access import NoAccess, log_in
        from app.server import BindError, bind, port_of, run_server
    except ModuleNotFoundError as error:
        return complain([f"{error.name} is missing, which the operator needs: pip install 'slipway[kubernetes]'"])
    try:
        asyncio.run(log_in(settings.kubeconfig, variables_of_others()))
        listener = bind(settings.host, settings.port)
    except NoAccess as error:
        return complain([str(error)])
    except BindError as error:
        return complain([str(error)], FAILED)
    fields = {
        "address": f"http://{settings.host}:{port_of(listener)}",
        "lease": f"{settings.namespace}/{lease}",
        "namespaces": ",".join(settings.operator_namespaces) or "all",
        "registry": settings.mesh_registry_url or "none: agents are not registered",
    }
    logger.info("operator", extra={"fields": fields})
    run_server(partial(_build, settings, lease), settings, listener)
    return 0


def _build(settings: Settings, lease: str) -> tuple[ASGIApp, Lifecycle]:
    from app.lifecycle import Lifecycle
    from app.operator.operator import Candidacy, Operator, application

    lifecycle = Lifecycle()
    candidacy = Candidacy(lease=lease, namespace=settings.namespace)
    operator = Operator(duties_of(settings), candidacy, version=VERSION)
    return application(operator, lifecycle, version=VERSION), lifecycle


def duties_of(settings: Settings) -> Duties:
    """What the environment says about the work."""
    from app.kubernetes.access import log_in
    from app.operator.model import Around
    from app.operator.term import Duties

    environment = {"MCP_LOG_LEVEL": settings.log_level}
    if settings.traces_endpoint:
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = settings.traces_endpoint
    token = settings.operator_registry_token
    return Duties(
        login=partial(log_in, settings.kubeconfig, variables_of_others()),
        around=Around(
            # Agents run the operator's own image unless their object names another.
            image=settings.gateway_image,
            registry_url=settings.mesh_registry_url,
            registry_namespace=settings.namespace,
            environment=environment,
            pull_secret=settings.operator_pull_secret,
            prometheus_namespace=settings.operator_prometheus_namespace,
        ),
        # A pod that is started again is another candidate than it was.
        identity=f"{settings.pod_name or socket.gethostname()}_{secrets.token_hex(4)}",
        namespaces=settings.operator_namespaces,
        registry_token=None if token is None else token.get_secret_value(),
        resync_seconds=settings.operator_resync_seconds,
    )

"""Starting the program: one process or several, over sockets or stdio. Returns the exit status."""

from __future__ import annotations

import logging
import secrets
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from pydantic import SecretStr

from app._settings_checks import SettingsError
from app.asgi import ASGIApp
from app.cli._problems import FAILED, WiringError, complain
from app.lifecycle import Lifecycle
from app.settings import Settings
from app.telemetry.logs import configure_logs

if TYPE_CHECKING:
    from app.cli._wiring import Core

    Bring = Callable[[Core], None]

logger = logging.getLogger("slipway.start")


def begin(settings: Settings) -> None:
    """What comes before all else: SIGTERM ends the process, until a server handles it, and logs are as wanted."""
    # As a container's first process we would not even get the signal until there is a handler for it.
    signal.signal(signal.SIGTERM, _leave)
    configure_logs(level=settings.log_level, form=settings.log_format)


def serve(
    settings: Settings,
    *,
    listener: socket.socket | None = None,
    on_listening: Callable[[], None] | None = None,
    bring: Bring | None = None,
) -> int:
    """Serve by the settings until told to end. With a listener given, one process serves it.

    `bring` adds to what is served, before anything is.
    """
    begin(settings)
    try:
        if settings.transport == "stdio":
            return _serve_stdio(settings, bring)
        return _serve_sockets(settings, listener, on_listening or _nothing, bring)
    except WiringError as error:
        return complain([str(error)])


def serve_from_environment() -> int:
    """What `slipway` alone does."""
    try:
        settings = Settings.load()
    except SettingsError as error:
        return complain(error.problems)
    return serve(settings)


def serve_application(
    settings: Settings, make: Callable[[], tuple[ASGIApp, Lifecycle]], fields: Mapping[str, object]
) -> int:
    """Serve, in one process, an application that is no set of tools of our own; `fields` say what it is."""
    begin(settings)
    try:
        from app.server import BindError, bind, port_of, run_server
    except ModuleNotFoundError as error:
        return complain([f"{error.name} is missing, which listening needs: pip install 'slipway[http]'"])
    try:
        listener = bind(settings.host, settings.port)
    except BindError as error:
        return complain([str(error)], FAILED)
    address = f"http://{settings.host}:{port_of(listener)}/mcp"
    logger.info("serving", extra={"fields": {"address": address, **fields}})
    try:
        run_server(make, settings, listener)
    except WiringError as error:
        return complain([str(error)])
    finally:
        listener.close()
    return 0


def _serve_stdio(settings: Settings, bring: Bring | None) -> int:
    from app.cli._stdio import serve_stdio

    return serve_stdio(settings, bring)


def _serve_sockets(
    settings: Settings, listener: socket.socket | None, on_listening: Callable[[], None], bring: Bring | None
) -> int:
    try:
        from app.server import BindError, bind
    except ModuleNotFoundError as error:
        return complain([f"{error.name} is missing, which listening needs: pip install 'slipway[http]'"])
    try:
        listener = listener or bind(settings.host, settings.port)
    except BindError as error:
        return complain([str(error)], FAILED)
    if settings.workers > 1 and settings.redis_address is None:
        fields = {"MCP_WORKERS": settings.workers}
        logger.warning(
            "sessions are kept in memory, which processes do not share: one process is run. Set REDIS_URL for more",
            extra={"fields": fields},
        )
        settings = settings.model_copy(update={"workers": 1})
    _say(settings, listener)
    if settings.workers > 1:
        return _serve_with_workers(_with_shared_key(settings), listener)
    from app.cli._wiring import build_application
    from app.server import run_server

    run_server(partial(build_application, settings, bring=bring), settings, listener, on_listening=on_listening)
    return 0


def _serve_with_workers(settings: Settings, listener: socket.socket) -> int:
    """Metrics of all workers are added up through files in a directory that lives as long as we do."""
    import os

    from app.workers import Workers

    directory = tempfile.mkdtemp(prefix="slipway-metrics-")
    # Read by prometheus-client when it is imported, so nothing above may import it.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
    from app.cli._wiring import build_application
    from app.server import run_server
    from app.telemetry.metrics import forget_worker

    family = os.getpid()

    def work(parent: int) -> None:
        make = partial(build_application, settings, shared_metrics=directory)
        try:
            run_server(make, settings, listener, parent=parent)
        except WiringError as error:
            sys.exit(complain([error]))
        finally:
            if os.getppid() != family:  # killed before it could tidy up
                shutil.rmtree(directory, ignore_errors=True)

    try:
        return Workers(
            settings.workers,
            work,
            listener=listener,
            budget=settings.drain_seconds,
            forget=partial(forget_worker, shared=directory),
        ).run()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _with_shared_key(settings: Settings) -> Settings:
    """Workers seal request states with one key even where none is configured."""
    if settings.sealing_keys:
        return settings
    return settings.model_copy(update={"request_state_keys": (SecretStr(secrets.token_hex(32)),)})


def _say(settings: Settings, listener: socket.socket) -> None:
    """What runs, where, and what it keeps where."""
    from app.server import port_of

    fields = {
        "address": f"http://{settings.host}:{port_of(listener)}/mcp",
        "toolsets": ",".join(settings.toolsets),
        "workers": settings.workers,
        "sessions": "redis" if settings.redis_address else "memory (embedded: no Redis is configured)",
        "tokens": "required" if settings.bearer_tokens else "not required",
    }
    logger.info("serving", extra={"fields": fields})
    if settings.redis_address and not settings.sealing_keys:
        logger.warning(
            "no MCP_REQUEST_STATE_KEYS: a request that asks for input can only be continued on the replica it began on"
        )


def _nothing() -> None:
    return


def _leave(_number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(0)

"""The Python API, put together from the settings: what `slipway gateway` does, within a program of your own."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from app.gateway.api import ExternalServers

if TYPE_CHECKING:
    from app.gateway.api import Close
    from app.gateway.launcher import Launcher
    from app.gateway.running import Gateway


class MCPKubernetesManager(ExternalServers):
    """Runs external servers from Python; the environment says what may run, as it does for `slipway gateway`.

    `namespace` is where pods are made (KUBERNETES_NAMESPACE), `config` a file of declared servers that is followed.
    `launcher` runs the servers; without one they are processes of this machine.
    """

    def __init__(
        self,
        namespace: str | None = None,
        *,
        launcher: Launcher | None = None,
        config: Path | None = None,
    ) -> None:
        super().__init__(partial(_make, namespace, launcher, config))


def _make(namespace: str | None, launcher: Launcher | None, config: Path | None) -> tuple[Gateway, Close]:
    from prometheus_client import CollectorRegistry

    from app.cli._gateway import make_gateway
    from app.settings import Settings

    settings = Settings.load(namespace=namespace)
    made = make_gateway(settings, config, CollectorRegistry(), launcher=launcher)
    return made.gateway, made.close

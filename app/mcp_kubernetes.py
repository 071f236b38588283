"""The Python API, put together from the settings: what `slipway gateway` does, within a program of your own."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from app.gateway.api import ExternalServers

if TYPE_CHECKING:
    from app.gateway.api import Close
    from app.gateway.launcher import Launcher
    from app.gateway.manager.parts import Place
    from app.gateway.running import Gateway


class MCPKubernetesManager(ExternalServers):
    """Runs external servers from Python; the environment says what may run, as it does for `slipway gateway`.

    `namespace` is where pods are made (KUBERNETES_NAMESPACE), `config` a file of declared servers that is followed.
    MCP_LAUNCHER says whether servers run as processes or as pods; a `launcher` of your own runs them at that `place`.
    """

    def __init__(
        self,
        namespace: str | None = None,
        *,
        launcher: Launcher | None = None,
        place: Place = "process",
        config: Path | None = None,
    ) -> None:
        super().__init__(partial(_make, namespace, launcher, place, config))


def _make(namespace: str | None, launcher: Launcher | None, place: Place, config: Path | None) -> tuple[Gateway, Close]:
    from prometheus_client import CollectorRegistry

    from app.cli._gateway import make_gateway
    from app.settings import Settings

    settings = Settings.load(namespace=namespace)
    made = make_gateway(settings, config, CollectorRegistry(), launcher=launcher, place=place)
    return made.gateway, made.close

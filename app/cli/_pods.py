"""The launcher of pods, put together from the settings and the gateway's configuration file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry

from app.cli._packages import registries_declared
from app.cli._problems import WiringError
from app.gateway.launcher import Launcher
from app.gateway.manager.declaration import Declaration, read_declaration
from app.packages.declared_registries import TEXT, RegistriesError
from app.settings import CHILD_PREFIX, Settings, variables_of_others

_MANAGED_BY = "app.kubernetes.io/managed-by"
# Where packages come from, and by which way out. What may hold a secret is passed on by a Secret only.
_PASSED_ON = re.compile(
    r"npm_config_registry|NPM_CONFIG_REGISTRY|UV_(DEFAULT_INDEX|INDEX_URL)|PIP_INDEX_URL|(https?|no)_proxy|(HTTPS?|NO)_PROXY"
)


def build_pod_launcher(settings: Settings, config: Path | None, metrics: CollectorRegistry) -> Launcher:
    """Nothing is asked of the cluster yet. Raises `WiringError`."""
    try:
        from app.gateway.pods.api import Api
        from app.gateway.pods.launcher import PodLauncher
        from app.gateway.pods.metrics import PodMetrics
        from app.gateway.pods.options import PodOptions
        from app.kubernetes.access import in_a_pod, log_in
    except ModuleNotFoundError as error:
        raise WiringError(f"{error.name} is missing, which pods need: pip install 'slipway[kubernetes]'") from None
    environment = variables_of_others()
    ours = settings.kubeconfig is None and in_a_pod(environment)
    if not ours and settings.kubeconfig is None and not (Path.home() / ".kube" / "config").is_file():
        raise WiringError(
            "MCP_LAUNCHER=pods, but this is no pod with an account, and there is no ~/.kube/config: "
            "set KUBECONFIG, or MCP_LAUNCHER=process"
        )

    declared = Declaration() if config is None else read_declaration(str(config), config.read_text("utf-8"))
    labels = dict(declared.pods.labels)
    gateway = labels.get(_MANAGED_BY) or settings.service_name
    options = PodOptions(
        namespace=settings.namespace,
        gateway=gateway,
        bridge_image=settings.gateway_bridge_image or settings.gateway_image,
        owner=gateway if ours else None,
        labels={_MANAGED_BY: gateway, **labels},
        environment=registries(environment) | _own_registries(settings),
        child_prefix=CHILD_PREFIX,
        environment_secret=settings.pod_environment_secret,
        pull_secret=settings.pod_pull_secret,
        port=declared.pods.port or 8000,
        patience=20.0 if ours else 3.0,  # in a pod, what is away comes back; elsewhere somebody waits
    )
    return PodLauncher(Api(partial(log_in, settings.kubeconfig, environment)), options, PodMetrics(metrics))


def _own_registries(settings: Settings) -> dict[str, str]:
    """The same for the programs in pods. Raises `WiringError`."""
    try:
        own = registries_declared(settings)
        return {} if own is None else {TEXT: own.for_pods()}
    except RegistriesError as error:
        raise WiringError(str(error)) from None


def registries(environment: Mapping[str, str]) -> dict[str, str]:
    """Of our own environment, what every package in a pod is told, as far as nothing of it is secret."""
    return {
        name: value
        for name, value in environment.items()
        if _PASSED_ON.fullmatch(name) and not (urlsplit(value).username or urlsplit(value).password)
    }

"""Credentials for the Kubernetes API: a pod's own, or a kubeconfig's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kopf


class LoginError(Exception):
    """There are no credentials; the message says where they were looked for."""


async def login(kubeconfig: Path | None = None) -> kopf.ConnectionInfo:
    """The kubeconfig's user where one is given; else the account of the pod, else the user of ~/.kube/config."""
    if kubeconfig is None:
        account = kopf.login_with_service_account(settings=kopf.OperatorSettings())
        if account is not None:
            return account
    return await _of_file(kubeconfig)


async def _of_file(kubeconfig: Path | None) -> kopf.ConnectionInfo:
    """Certificates, tokens and login programs alike. Only here is the large client package imported."""
    import kubernetes_asyncio

    library: Any = kubernetes_asyncio  # it has no types
    found = library.client.Configuration()
    source = None if kubeconfig is None else str(kubeconfig)
    try:
        await library.config.load_kube_config(config_file=source, client_configuration=found, persist_config=False)
    except (library.config.ConfigException, OSError) as error:
        where = "in this pod or in ~/.kube/config" if kubeconfig is None else f"in {kubeconfig}"
        raise LoginError(
            f"no credentials for Kubernetes {where} ({error}): set KUBECONFIG to a file with some"
        ) from None
    scheme, _, token = str(found.api_key.get("BearerToken") or "").partition(" ")
    return kopf.ConnectionInfo(
        server=found.host,
        ca_path=found.ssl_ca_cert,
        insecure=not found.verify_ssl,
        scheme=scheme or None,
        token=token or None,
        certificate_path=found.cert_file,
        private_key_path=found.key_file,
    )

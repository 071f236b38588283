"""Where the Kubernetes API is, and who we are there: the account of our pod, or a user of a kubeconfig file."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# The kubelet renews a token long before it ends.
_READ_AGAIN = 60.0


class NoAccess(Exception):
    """There are no credentials; the message says where they were looked for."""


@dataclass(slots=True)
class Access:
    """The API server's address, whom to trust there, and a token that is read anew now and then."""

    server: str
    tls: ssl.SSLContext | None
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    _read: float = 0.0

    def headers(self) -> dict[str, str]:
        """What proves who we are; with a client certificate, nothing."""
        if self.token_file is not None and time.monotonic() >= self._read:
            self.token = self.token_file.read_text("utf-8").strip()
            self._read = time.monotonic() + _READ_AGAIN
        return {"authorization": f"Bearer {self.token}"} if self.token else {}

    def refused(self) -> None:
        """The token was not accepted: read it anew before the next request."""
        self._read = 0.0


def in_a_pod(environment: Mapping[str, str], account: Path = ACCOUNT) -> bool:
    """Whether this is a pod that may speak to its cluster."""
    return bool(environment.get("KUBERNETES_SERVICE_HOST")) and (account / "token").is_file()


def of_pod(environment: Mapping[str, str], account: Path = ACCOUNT) -> Access:
    """The account of this pod. Raises `NoAccess`."""
    if not in_a_pod(environment, account):
        raise NoAccess(f"this is no pod with an account: there is no {account / 'token'}")
    host, port = environment["KUBERNETES_SERVICE_HOST"], environment.get("KUBERNETES_SERVICE_PORT_HTTPS", "443")
    context = ssl.create_default_context(cafile=str(account / "ca.crt"))
    return Access(f"https://{f'[{host}]' if ':' in host else host}:{port}", context, token_file=account / "token")


async def of_kubeconfig(file: Path | None) -> Access:
    """The user of a file, or of ~/.kube/config. Raises `NoAccess`."""
    import kubernetes_asyncio  # large, and not needed in a pod

    library: Any = kubernetes_asyncio  # it has no types
    found = library.client.Configuration()
    source = None if file is None else str(file)
    try:
        await library.config.load_kube_config(config_file=source, client_configuration=found, persist_config=False)
    except (library.config.ConfigException, OSError) as error:
        where = file or "~/.kube/config"
        raise NoAccess(f"no credentials for Kubernetes in {where} ({error}): set KUBECONFIG to a file") from None
    context: ssl.SSLContext | None = None
    if found.host.startswith("https"):
        context = ssl.create_default_context(cafile=found.ssl_ca_cert)
        if not found.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if found.cert_file:
            context.load_cert_chain(found.cert_file, found.key_file)
    _, _, token = str(found.api_key.get("BearerToken") or "").partition(" ")
    return Access(found.host.rstrip("/"), context, token=token)

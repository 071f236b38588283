"""Where the Kubernetes API is, and who we are there: the account of our pod, or a user of a kubeconfig file."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class NoAccess(Exception):
    """There are no credentials; the message says where they were looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The API server's address, whom to trust there, and what proves who we are: a token, or a certificate."""

    server: str
    token: str = field(default="", repr=False)
    ca_file: str | None = None
    certificate: str | None = None
    key: str | None = None
    insecure: bool = False
    """Whoever answers is trusted."""

    def tls(self) -> ssl.SSLContext | None:
        """None where the address is without TLS."""
        if not self.server.startswith("https"):
            return None
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key)
        return context

    def headers(self) -> dict[str, str]:
        """What proves who we are; with a certificate, nothing."""
        return {"authorization": f"Bearer {self.token}"} if self.token else {}


async def log_in(kubeconfig: Path | None, environment: Mapping[str, str]) -> Access:
    """The file's user where one is given; else the account of this pod, else the user of ~/.kube/config.

    Raises `NoAccess`.
    """
    if kubeconfig is None and in_a_pod(environment):
        return of_pod(environment)
    return await of_kubeconfig(kubeconfig)


def in_a_pod(environment: Mapping[str, str], account: Path = ACCOUNT) -> bool:
    """Whether this is a pod that may speak to its cluster."""
    return bool(environment.get("KUBERNETES_SERVICE_HOST")) and (account / "token").is_file()


def of_pod(environment: Mapping[str, str], account: Path = ACCOUNT) -> Access:
    """The account of this pod. Raises `NoAccess`."""
    if not in_a_pod(environment, account):
        raise NoAccess(f"this is no pod with an account: there is no {account / 'token'}")
    host, port = environment["KUBERNETES_SERVICE_HOST"], environment.get("KUBERNETES_SERVICE_PORT_HTTPS", "443")
    try:
        token = (account / "token").read_text("utf-8").strip()
    except OSError as error:
        raise NoAccess(f"the account of this pod cannot be read: {error}") from None
    server = f"https://{f'[{host}]' if ':' in host else host}:{port}"
    return Access(server=server, token=token, ca_file=str(account / "ca.crt"))


async def of_kubeconfig(file: Path | None) -> Access:
    """The user of a file, or of ~/.kube/config: certificates, tokens and login programs alike. Raises `NoAccess`."""
    import kubernetes_asyncio  # large, and not needed in a pod

    library: Any = kubernetes_asyncio  # it has no types
    found = library.client.Configuration()
    source = None if file is None else str(file)
    try:
        await library.config.load_kube_config(config_file=source, client_configuration=found, persist_config=False)
    except (library.config.ConfigException, OSError) as error:
        where = "this pod or in ~/.kube/config" if file is None else file
        raise NoAccess(f"no credentials for Kubernetes in {where} ({error}): set KUBECONFIG to a file") from None
    _, _, token = str(found.api_key.get("BearerToken") or "").partition(" ")
    return Access(
        server=found.host.rstrip("/"),
        token=token,
        ca_file=found.ssl_ca_cert,
        certificate=found.cert_file,
        key=found.key_file,
        insecure=not found.verify_ssl,
    )

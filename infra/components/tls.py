"""Certificates for the hosts of a stack: issued by cert-manager, or taken from a Secret that is already there."""

from dataclasses import dataclass
from typing import Literal

import pulumi

Mode = Literal["acme", "ca", "selfSigned", "existing"]
IssuerKind = Literal["Issuer", "ClusterIssuer"]


@dataclass(frozen=True, kw_only=True)
class AcmeArgs:
    """An ACME account, and the ingress class that answers its HTTP-01 challenges."""

    email: str
    directory_url: str = "https://acme-v02.api.letsencrypt.org/directory"
    solver_class: str | None = None
    # Certificates of the ACME server's own address, for a directory with a private CA (base64 of a PEM bundle).
    ca_bundle: str | None = None


@dataclass(frozen=True, kw_only=True)
class CertManagerArgs:
    """Install cert-manager by its Helm chart. Only for a cluster that has none."""

    version: str
    namespace: str = "cert-manager"


@dataclass(frozen=True, kw_only=True)
class TlsArgs:
    """Where the certificate comes from. `secret_name` is written to or, with `existing`, read from."""

    namespace: pulumi.Input[str]
    mode: Mode
    hosts: tuple[str, ...]
    secret_name: str | None = None
    issuer_kind: IssuerKind = "Issuer"
    issuer_name: str | None = None
    acme: AcmeArgs | None = None
    # With `ca`: the Secret with the CA's certificate and key, in the issuer's namespace.
    ca_secret: str | None = None
    cert_manager: CertManagerArgs | None = None
    wait_seconds: int = 300

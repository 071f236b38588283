"""How clients outside the cluster reach the servers: the ingress profile and TLS."""

from typing import Annotated, Literal

from pydantic import Field

from infra.config.base import Many, Model
from infra.config.values import (
    Base64,
    BodySize,
    CertificateArn,
    Cidr,
    Email,
    Host,
    Identifier,
    Label,
    ReleaseTag,
    Seconds,
    Url,
)
from infra.exposure import Profile

LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"


class RateLimitConfig(Model):
    """How many requests one client address may make."""

    requests_per_second: Annotated[int, Field(ge=1, le=100_000)]
    """Sustained rate."""
    burst: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Requests let through at once; five times the rate when absent, where the profile has bursts."""


class GatewayRefConfig(Model):
    """The Gateway (Gateway API) that routes attach to. It belongs to the cluster, not to the stack."""

    name: Label
    """Name of the Gateway."""
    namespace: Label
    """Namespace of the Gateway."""
    section: Label | None = None
    """Listener of the Gateway; all of them when absent."""


class ExposureConfig(Model):
    """What stands in front of the servers. One profile a stack; each says what it cannot do."""

    profile: Profile = "none"
    """The ingress controller or load balancer; `none` keeps everything inside the cluster."""
    host: Host | None = None
    """Host name of all servers that name none of their own."""
    class_name: Label | None = None
    """IngressClass; the profile's usual one when absent."""
    controller_namespace: Label | None = None
    """Namespace of the controller's pods, which may then reach the servers; the profile's usual one when absent."""
    timeout_seconds: Seconds | None = None
    """How long a connection may stay silent, WebSockets and event streams included; 3600 when absent."""
    idle_timeout_seconds: Seconds | None = None
    """Idle timeout of the load balancer itself (profile `alb`), above `timeoutSeconds`; 4000 when absent."""
    affinity_seconds: Seconds | None = None
    """How long the affinity cookie keeps a client on its pod; 86400 when absent."""
    body_size: BodySize | None = None
    """Largest request body; 8m when absent. When set, the profile must be able to enforce it."""
    rate_limit: RateLimitConfig | None = None
    """Limit per client address; none when absent."""
    allow_from: Many[Cidr] = ()
    """Address ranges that may connect; everyone when empty."""
    gateway: GatewayRefConfig | None = None
    """The Gateway to attach to, with profile `gatewayApi`."""
    certificate_arn: CertificateArn | None = None
    """Certificate of AWS Certificate Manager, with profile `alb`, which takes none from a Secret."""
    wait_for_address: bool = True
    """Whether an update waits until the controller has given the Ingress an address."""


class CertManagerConfig(Model):
    """Install cert-manager by its Helm chart. Only for a cluster that has none."""

    version: ReleaseTag
    """Version of the chart, e.g. `v1.13.0`."""
    namespace: Label = "cert-manager"
    """Namespace it is installed in."""


class TlsConfig(Model):
    """Where the certificate of the hosts comes from."""

    mode: Literal["none", "acme", "ca", "selfSigned", "existing"] = "none"
    """`acme`, `ca` and `selfSigned` are issued by cert-manager; `existing` is a Secret that is already there."""
    issuer_kind: Literal["Issuer", "ClusterIssuer"] = "Issuer"
    """Whether the issuer serves this namespace or the whole cluster."""
    issuer_name: Label | None = None
    """Name of the issuer; derived from the stack when absent."""
    email: Email | None = None
    """Contact for the ACME account. Required with `acme`."""
    directory_url: Url = LETS_ENCRYPT
    """Directory of the ACME server."""
    ca_bundle: Base64 | None = None
    """Certificates of a private ACME server's own address: base64 of a PEM bundle."""
    solver_class: Label | None = None
    """IngressClass that answers the HTTP-01 challenge; `exposure.className` when absent."""
    ca_secret: Identifier | None = None
    """Secret with the CA's certificate and key. Required with `ca`."""
    secret_name: Identifier | None = None
    """Secret that holds the certificate: written to, or, with `existing`, read from."""
    install_cert_manager: CertManagerConfig | None = None
    """Install cert-manager with the stack; it is expected in the cluster when absent."""
    wait_seconds: Seconds = 300
    """How long to wait for the certificate to be issued."""

"""Certificates for the hosts of a stack: issued by cert-manager, or taken from a Secret that is already there."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pulumi
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra import naming
from infra.component import Component
from infra.components.exposure import GatewayRef

if TYPE_CHECKING:
    from pulumi_kubernetes.helm.v3 import Release

Mode = Literal["acme", "ca", "selfSigned", "existing"]
IssuerKind = Literal["Issuer", "ClusterIssuer"]

API = "cert-manager.io/v1"
CHARTS = "https://charts.jetstack.io"
COMPONENT = "tls"
# The Kubernetes plugin then counts the object as made only when cert-manager says that it is ready.
WAIT_FOR_READY = {"pulumi.com/waitFor": "condition=Ready"}


@dataclass(frozen=True, kw_only=True)
class AcmeArgs:
    """An ACME account, and what answers its HTTP-01 challenges: an ingress class, or a Gateway."""

    email: str
    directory_url: str = "https://acme-v02.api.letsencrypt.org/directory"
    # Without a class and without a Gateway, the cluster's default ingress class answers.
    solver_class: str | None = None
    solver_gateway: GatewayRef | None = None
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
    # With `ca`: the Secret with the CA's certificate and key; of a ClusterIssuer, in cert-manager's namespace.
    ca_secret: str | None = None
    cert_manager: CertManagerArgs | None = None
    wait_seconds: int = 300


class Tls(Component):
    """A certificate for every host of the stack, in one Secret.

    Outputs: `secret_name`, known in a preview and given out only after the certificate is ready.
    """

    def __init__(self, name: str, args: TlsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tls", "Tls", name, opts)
        _refuse(args)
        secret_name = args.secret_name or naming.child(name, "certificate")
        if args.mode == "existing":
            self.secret_name = pulumi.Output.from_input(secret_name)
        else:
            installed = [] if args.cert_manager is None else [self._cert_manager(args.cert_manager, args.wait_seconds)]
            issuer = self._issuer(args, installed)
            certificate = self._certificate(args, secret_name, issuer)
            self.secret_name = certificate.urn.apply(lambda _: secret_name)
        self.finish({"secret_name": self.secret_name})

    def _cert_manager(self, args: CertManagerArgs, wait_seconds: int) -> "Release":
        from pulumi_kubernetes.helm.v3 import Release, ReleaseArgs, RepositoryOptsArgs

        return Release(
            naming.child(self.name, "cert-manager"),
            ReleaseArgs(
                name="cert-manager",
                chart="cert-manager",
                version=args.version,
                namespace=args.namespace,
                create_namespace=True,
                repository_opts=RepositoryOptsArgs(repo=CHARTS),
                values=chart_values(args.version),
                timeout=wait_seconds,
            ),
            opts=self.child_options(),
        )

    def _issuer(self, args: TlsArgs, installed: "list[Release]") -> CustomResource:
        issuer_name = args.issuer_name or self.name
        return CustomResource(
            naming.child(self.name, "issuer"),
            api_version=API,
            kind=args.issuer_kind,
            metadata=ObjectMetaArgs(
                name=issuer_name,
                namespace=args.namespace if args.issuer_kind == "Issuer" else None,
                labels=naming.labels(self.name, COMPONENT),
                annotations=WAIT_FOR_READY,
            ),
            spec=_issuer_spec(args, issuer_name),
            opts=self.child_options(depends_on=installed, custom_timeouts=_timeouts(args.wait_seconds)),
        )

    def _certificate(self, args: TlsArgs, secret_name: str, issuer: CustomResource) -> CustomResource:
        return CustomResource(
            naming.child(self.name, "certificate"),
            api_version=API,
            kind="Certificate",
            metadata=ObjectMetaArgs(
                name=secret_name,
                namespace=args.namespace,
                labels=naming.labels(self.name, COMPONENT),
                annotations=WAIT_FOR_READY,
            ),
            spec={
                "secretName": secret_name,
                "dnsNames": list(args.hosts),
                "issuerRef": {
                    "group": "cert-manager.io",
                    "kind": args.issuer_kind,
                    "name": args.issuer_name or self.name,
                },
                "privateKey": {"algorithm": "ECDSA", "size": 256, "rotationPolicy": "Always"},
            },
            opts=self.child_options(depends_on=[issuer], custom_timeouts=_timeouts(args.wait_seconds)),
        )


def chart_values(version: str) -> dict[str, object]:
    """The chart's values that bring cert-manager's own resource definitions with it; their name changed in 1.15."""
    major, minor = (int(part) for part in version.removeprefix("v").split(".")[:2])
    return {"crds": {"enabled": True, "keep": True}} if (major, minor) >= (1, 15) else {"installCRDs": True}


def _refuse(args: TlsArgs) -> None:
    if not args.hosts:
        raise ValueError("tls: no host to certify; set exposure.host, or a server's own host")
    if args.mode == "existing" and args.secret_name is None:
        raise ValueError("tls.secretName: nothing is set, but tls.mode existing reads a Secret; set its name")
    if args.mode == "ca" and args.ca_secret is None:
        raise ValueError("tls.caSecret: nothing is set, but tls.mode ca signs with a CA; set the name of its Secret")
    if args.mode == "acme" and args.acme is None:
        raise ValueError("tls.email: nothing is set, but tls.mode acme needs an account; set its contact address")


def _timeouts(seconds: int) -> pulumi.CustomTimeouts:
    return pulumi.CustomTimeouts(create=f"{seconds}s", update=f"{seconds}s")


def _issuer_spec(args: TlsArgs, issuer_name: str) -> dict[str, object]:
    if args.mode == "ca":
        return {"ca": {"secretName": args.ca_secret}}
    if args.mode == "selfSigned" or args.acme is None:
        return {"selfSigned": {}}
    acme = args.acme
    account: dict[str, object] = {
        "server": acme.directory_url,
        "email": acme.email,
        "privateKeySecretRef": {"name": naming.child(issuer_name, "account")},
        "solvers": [{"http01": _solver(acme)}],
    }
    if acme.ca_bundle is not None:
        account["caBundle"] = acme.ca_bundle
    return {"acme": account}


def _solver(acme: AcmeArgs) -> dict[str, object]:
    gateway = acme.solver_gateway
    if gateway is not None:
        parent = {"name": gateway.name, "namespace": gateway.namespace}
        return {"gatewayHTTPRoute": {"parentRefs": [parent]}}
    # `class` is read by every version of cert-manager and by controllers that know the annotation only.
    return {"ingress": {} if acme.solver_class is None else {"class": acme.solver_class}}

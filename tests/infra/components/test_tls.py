import pytest

from infra.components.exposure import GatewayRef
from infra.components.tls import AcmeArgs, CertManagerArgs, Tls, TlsArgs, chart_values


@pytest.fixture
def certify(run):
    def certify(mode, hosts=("mcp.example.org",), **extra):
        return run(lambda: Tls("tls", TlsArgs(namespace="demo", mode=mode, hosts=hosts, **extra)))

    return certify


def secret_name_of(stack):
    return stack.outputs(stack.one("Tls"))["secret_name"]


def test_acme_asks_any_directory_over_the_ingress_class(certify):
    acme = AcmeArgs(email="ops@example.org", directory_url="https://ca.internal/dir", solver_class="nginx")
    issuer = certify("acme", acme=acme).one("Issuer")
    assert issuer.at("spec.acme") == {
        "server": "https://ca.internal/dir",
        "email": "ops@example.org",
        "privateKeySecretRef": {"name": "tls-account"},
        "solvers": [{"http01": {"ingress": {"class": "nginx"}}}],
    }


def test_acme_defaults_to_lets_encrypt_and_to_the_default_class(certify):
    issuer = certify("acme", acme=AcmeArgs(email="ops@example.org")).one("Issuer")
    assert issuer.at("spec.acme.server") == "https://acme-v02.api.letsencrypt.org/directory"
    assert issuer.at("spec.acme.solvers.0.http01.ingress") == {}


def test_acme_may_be_answered_by_a_gateway_with_a_private_ca(certify):
    gateway = GatewayRef(name="public", namespace="gateways")
    acme = AcmeArgs(email="ops@example.org", solver_gateway=gateway, ca_bundle="LS0t")
    issuer = certify("acme", acme=acme).one("Issuer")
    assert issuer.at("spec.acme.solvers.0.http01.gatewayHTTPRoute.parentRefs") == [
        {"name": "public", "namespace": "gateways"}
    ]
    assert issuer.at("spec.acme.caBundle") == "LS0t"


def test_a_certificate_authority_signs_from_its_secret(certify):
    assert certify("ca", ca_secret="corporate-ca").one("Issuer").at("spec") == {"ca": {"secretName": "corporate-ca"}}


def test_a_self_signed_certificate_needs_nobody(certify):
    assert certify("selfSigned").one("Issuer").at("spec") == {"selfSigned": {}}


def test_the_certificate_covers_every_host_and_names_its_issuer(certify):
    certificate = certify("selfSigned", hosts=("a.example.org", "b.example.org")).one("Certificate")
    assert certificate.at("spec.dnsNames") == ["a.example.org", "b.example.org"]
    assert certificate.at("spec.issuerRef") == {"group": "cert-manager.io", "kind": "Issuer", "name": "tls"}
    assert certificate.at("spec.secretName") == "tls-certificate"


def test_issuer_and_certificate_are_waited_for_until_they_are_ready(certify):
    stack = certify("selfSigned", wait_seconds=90)
    issuer, certificate = stack.one("Issuer"), stack.one("Certificate")
    for resource in (issuer, certificate):
        assert resource.at("metadata.annotations") == {"pulumi.com/waitFor": "condition=Ready"}
    assert issuer.urn in certificate.depends_on


def test_a_cluster_issuer_belongs_to_no_namespace(certify):
    stack = certify("selfSigned", issuer_kind="ClusterIssuer", issuer_name="letsencrypt-prod")
    issuer = stack.one("ClusterIssuer")
    assert not issuer.has("metadata.namespace")
    assert issuer.object_name == "letsencrypt-prod"
    assert stack.one("Certificate").at("spec.issuerRef.kind") == "ClusterIssuer"


def test_the_secret_is_given_out_by_its_own_name(certify):
    stack = certify("selfSigned", secret_name="mcp-map-tls")
    assert secret_name_of(stack) == "mcp-map-tls"
    assert stack.one("Certificate").object_name == "mcp-map-tls"


def test_an_existing_secret_makes_no_objects(certify):
    stack = certify("existing", secret_name="bought")
    assert [resource.kind for resource in stack.registered] == ["Tls"]
    assert secret_name_of(stack) == "bought"


def test_cert_manager_is_installed_only_when_asked_for(certify):
    assert not certify("selfSigned").all("Release")
    stack = certify("selfSigned", cert_manager=CertManagerArgs(version="v1.13.0"))
    release = stack.one("Release")
    assert release.at("chart") == "cert-manager"
    assert release.at("version") == "v1.13.0"
    assert release.at("namespace") == "cert-manager"
    assert release.at("repositoryOpts.repo") == "https://charts.jetstack.io"
    assert release.urn in stack.one("Issuer").depends_on


def test_the_chart_brings_its_definitions_by_the_name_of_its_version():
    assert chart_values("v1.13.0") == {"installCRDs": True}
    assert chart_values("v1.15.3") == {"crds": {"enabled": True, "keep": True}}
    assert chart_values("1.19.1") == {"crds": {"enabled": True, "keep": True}}


@pytest.mark.parametrize(
    ("mode", "hosts", "message"),
    [
        ("existing", ("a.example.org",), r"tls\.secretName: nothing is set"),
        ("ca", ("a.example.org",), r"tls\.caSecret: nothing is set"),
        ("acme", ("a.example.org",), r"tls\.email: nothing is set"),
        ("selfSigned", (), r"tls: no host to certify"),
    ],
)
def test_what_is_missing_is_named_with_its_remedy(certify, mode, hosts, message):
    with pytest.raises(ValueError, match=message):
        certify(mode, hosts=hosts)

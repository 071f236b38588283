"""cert-manager: its definitions, its three programs and its admission."""

import yaml

from harness.api import Object
from harness.build import Tool
from harness.manifests import AddOn, account, deployment, namespace, service

SPACE = "cert-manager"
WEBHOOK = "cert-manager-webhook"
AUTHORITY = f"{WEBHOOK}-ca"


class CertManager(AddOn):
    name = "cert-manager's admission"

    def manifests(self) -> list[Object]:
        hosts = f"{WEBHOOK},{WEBHOOK}.{SPACE},{WEBHOOK}.{SPACE}.svc"
        return [
            *definitions(),
            namespace(SPACE),
            *account("cert-manager-cainjector", SPACE, "cluster-admin"),
            *account(WEBHOOK, SPACE, "cluster-admin"),
            *account("cert-manager", SPACE, "cluster-admin"),
            deployment(
                "cert-manager-cainjector",
                SPACE,
                self._images["cert-manager-cainjector"],
                ["--leader-elect=false"],
            ),
            deployment(
                WEBHOOK,
                SPACE,
                self._images["cert-manager-webhook"],
                [
                    "--secure-port=10250",
                    f"--dynamic-serving-ca-secret-namespace={SPACE}",
                    f"--dynamic-serving-ca-secret-name={AUTHORITY}",
                    f"--dynamic-serving-dns-names={hosts}",
                ],
                ready={"httpGet": {"path": "/healthz", "port": 6080}},
                ports=[{"containerPort": 10250, "name": "https"}],
            ),
            service(WEBHOOK, SPACE, {"https": (443, "https")}),
            admission("MutatingWebhookConfiguration", "/mutate"),
            admission("ValidatingWebhookConfiguration", "/validate"),
            deployment(
                "cert-manager",
                SPACE,
                self._images["cert-manager-controller"],
                [
                    "--leader-elect=false",
                    f"--cluster-resource-namespace={SPACE}",
                    f"--acme-http01-solver-image={self._images['cert-manager-acmesolver']}",
                ],
            ),
        ]

    def _works(self) -> bool:
        """An object of its kinds passes its admission, certificates and all, and none is kept."""
        issuer = {
            "apiVersion": "cert-manager.io/v1",
            "kind": "Issuer",
            "metadata": {"name": "probe", "namespace": "default"},
            "spec": {"selfSigned": {}},
        }
        try:
            self._api.apply(issuer, dry_run=True)
        except RuntimeError:
            return False
        return True


def definitions() -> list[Object]:
    """The custom resources, without the labels that Helm would fill in."""
    found = []
    for file in sorted((Tool("cert-manager").folder / "bin").glob("crd-*.yaml")):
        definition = yaml.safe_load(file.read_text(encoding="utf-8"))
        definition["metadata"]["labels"] = {}
        found.append(definition)
    return found


def admission(kind: str, path: str) -> Object:
    rule = {
        "apiGroups": ["cert-manager.io", "acme.cert-manager.io"],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["*/*"],
    }
    webhook = {
        "name": "webhook.cert-manager.io",
        "rules": [rule],
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 10,
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "clientConfig": {"service": {"name": WEBHOOK, "namespace": SPACE, "path": path}},
    }
    # The injector writes the authority's certificate into it.
    notes = {"cert-manager.io/inject-ca-from-secret": f"{SPACE}/{AUTHORITY}"}
    api = "admissionregistration.k8s.io/v1"
    return {"apiVersion": api, "kind": kind, "metadata": {"name": WEBHOOK, "annotations": notes}, "webhooks": [webhook]}

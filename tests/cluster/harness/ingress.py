"""traefik, reading the Ingresses and annotations that are made for ingress-nginx."""

from harness.api import Object
from harness.enclosure import NODE_ADDRESS
from harness.manifests import AddOn, account, deployment, namespace, service

SPACE = "ingress-nginx"
NAME = "ingress-nginx-controller"
CLASS = "nginx"
# The address of the ingress for pods; others use ports 80 and 443 of the node.
INGRESS_SERVICE = "10.96.0.80"


class Ingress(AddOn):
    name = "the ingress"

    def manifests(self) -> list[Object]:
        return [
            namespace(SPACE),
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "IngressClass",
                "metadata": {"name": CLASS, "annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}},
                "spec": {"controller": "k8s.io/ingress-nginx"},
            },
            *account(NAME, SPACE, "cluster-admin"),
            deployment(
                NAME,
                SPACE,
                self._images["traefik"],
                [
                    "--entryPoints.web.address=:8000",
                    "--entryPoints.websecure.address=:8443",
                    "--entryPoints.websecure.http.tls=true",
                    # A stream stays open for as long as its client listens.
                    "--entryPoints.web.transport.respondingTimeouts.readTimeout=0",
                    "--entryPoints.websecure.transport.respondingTimeouts.readTimeout=0",
                    "--entryPoints.traefik.address=:8080",
                    "--providers.kubernetesIngressNGINX=true",
                    f"--providers.kubernetesIngressNGINX.publishStatusAddress={NODE_ADDRESS}",
                    "--ping=true",
                    "--global.checkNewVersion=false",
                    "--global.sendAnonymousUsage=false",
                ],
                ready={"httpGet": {"path": "/ping", "port": 8080}},
                ports=[
                    {"containerPort": 8000, "hostPort": 80, "name": "http"},
                    {"containerPort": 8443, "hostPort": 443, "name": "https"},
                ],
                labels={"app.kubernetes.io/name": "ingress-nginx", "app.kubernetes.io/component": "controller"},
            ),
            service(NAME, SPACE, {"http": (80, "http"), "https": (443, "https")}, INGRESS_SERVICE),
        ]

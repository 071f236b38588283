"""Two ways in, both traefik: as itself, and reading the Ingresses and annotations that are made for ingress-nginx.

Each has an address for pods and for this machine; the second is also on ports 80 and 443 of the node.
"""

from collections.abc import Sequence

import yaml

from harness.api import Object
from harness.build import Tool
from harness.enclosure import NODE_ADDRESS
from harness.manifests import AddOn, account, deployment, namespace, service

# The addresses of the two, and so of the hosts that tests give their servers.
NGINX_ADDRESS, TRAEFIK_ADDRESS = "10.96.0.80", "10.96.0.81"
COMMON = (
    "--entryPoints.web.address=:8000",
    "--entryPoints.websecure.address=:8443",
    # A stream stays open for as long as its client listens.
    "--entryPoints.web.transport.respondingTimeouts.readTimeout=0",
    "--entryPoints.websecure.transport.respondingTimeouts.readTimeout=0",
    "--entryPoints.traefik.address=:8080",
    "--providers.providersThrottleDuration=200ms",
    "--ping=true",
    "--global.checkNewVersion=false",
    "--global.sendAnonymousUsage=false",
)


class _Controller(AddOn):
    class_name: str
    controller: str
    space: str
    pod: str
    address: str
    arguments: Sequence[str]
    on_node = False
    default = "false"

    def manifests(self) -> list[Object]:
        ports = {"http": (8000, 80), "https": (8443, 443)}
        on_node = {name: {"hostPort": outside} if self.on_node else {} for name, (_, outside) in ports.items()}
        notes = {"ingressclass.kubernetes.io/is-default-class": self.default}
        return [
            namespace(self.space),
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "IngressClass",
                "metadata": {"name": self.class_name, "annotations": notes},
                "spec": {"controller": self.controller},
            },
            *account(self.pod, self.space, "cluster-admin"),
            deployment(
                self.pod,
                self.space,
                self._images["traefik"],
                [*COMMON, *self.arguments],
                ready={"httpGet": {"path": "/ping", "port": 8080}},
                ports=[{"containerPort": inside, "name": name, **on_node[name]} for name, (inside, _) in ports.items()],
                labels={"app.kubernetes.io/name": self.space, "app.kubernetes.io/component": "controller"},
            ),
            service(self.pod, self.space, {"http": (80, "http"), "https": (443, "https")}, self.address),
        ]


class NginxIngress(_Controller):
    name = "the ingress of class nginx"
    class_name, controller = "nginx", "k8s.io/ingress-nginx"
    space, pod = "ingress-nginx", "ingress-nginx-controller"
    address = NGINX_ADDRESS
    arguments = (
        "--providers.kubernetesIngressNGINX=true",
        f"--providers.kubernetesIngressNGINX.publishStatusAddress={NODE_ADDRESS}",
    )
    on_node = True
    default = "true"


class TraefikIngress(_Controller):
    name = "the ingress of class traefik"
    class_name, controller = "traefik", "traefik.io/ingress-controller"
    space, pod = "traefik", "traefik"
    address = TRAEFIK_ADDRESS
    arguments = (
        "--providers.kubernetesCRD=true",
        "--providers.kubernetesIngress=true",
        "--providers.kubernetesIngress.ingressClass=traefik",
        f"--providers.kubernetesIngress.ingressEndpoint.ip={NODE_ADDRESS}",
    )

    def manifests(self) -> list[Object]:
        files = sorted((Tool("traefik").folder / "bin").glob("traefik.io_*.yaml"))
        return [*(yaml.safe_load(file.read_text(encoding="utf-8")) for file in files), *super().manifests()]

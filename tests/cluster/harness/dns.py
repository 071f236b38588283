"""CoreDNS: names of Services and pods, and the hosts of tests, which lead to the ingress."""

from harness.api import Object
from harness.ingress import NGINX_ADDRESS, TRAEFIK_ADDRESS
from harness.kubelet import CLUSTER_DNS
from harness.manifests import AddOn, account, cluster_role, config_map, deployment, service

SPACE = "kube-system"
# Hosts below these are an ingress: what tests and the examples call their servers.
ZONES = {
    NGINX_ADDRESS: ("test", "example", "example.com", "your-domain.com"),
    TRAEFIK_ADDRESS: ("traefik.test", "internal"),
}
INGRESS = """\
{zones} {{
  template IN A {{
    answer "{{{{ .Name }}}} 2 IN A {address}"
  }}
  template ANY ANY {{
    rcode NOERROR
  }}
}}
"""
CONFIGURATION = """\
cluster.local in-addr.arpa ip6.arpa {{
  errors
  health :8080
  ready :8181
  kubernetes cluster.local in-addr.arpa ip6.arpa {{
    pods insecure
    ttl 2
  }}
}}
. {{
  # Nothing outside is asked.
  template ANY ANY {{
    rcode NXDOMAIN
  }}
}}
"""


class Dns(AddOn):
    name = "DNS"

    def manifests(self) -> list[Object]:
        hosts = [INGRESS.format(zones=" ".join(zones), address=address) for address, zones in ZONES.items()]
        configuration = "".join([CONFIGURATION.format(), *hosts])
        rules = [
            {
                "apiGroups": [""],
                "resources": ["services", "pods", "namespaces", "nodes"],
                "verbs": ["get", "list", "watch"],
            },
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
        ]
        return [
            config_map("coredns", SPACE, {"Corefile": configuration}),
            cluster_role("coredns", rules),
            *account("kube-dns", SPACE, "coredns"),
            deployment(
                "kube-dns",
                SPACE,
                self._images["coredns"],
                ["-conf", "/etc/coredns/Corefile"],
                ready={"httpGet": {"path": "/ready", "port": 8181}},
                ports=[
                    {"containerPort": 53, "protocol": "UDP", "name": "dns"},
                    {"containerPort": 53, "name": "dns-tcp"},
                ],
                files={"/etc/coredns": "coredns"},
                labels={"k8s-app": "kube-dns"},
                user=0,
            ),
            service("kube-dns", SPACE, {"dns-udp": (53, "dns"), "dns": (53, "dns-tcp")}, CLUSTER_DNS),
        ]

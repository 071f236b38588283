"""pebble: an ACME server whose http01 questions go to port 80 of the ingress, as a public one's would."""

import json

from harness.api import Api, Object
from harness.certificates import Authority
from harness.kubelet import CLUSTER_DNS
from harness.manifests import AddOn, account, config_map, deployment, namespace, service

SPACE = "acme"
NAME = "pebble"
ADDRESS = "10.96.0.14"
HOST = f"{NAME}.{SPACE}.svc.cluster.local"
DIRECTORY = f"https://{HOST}:14000/dir"
# From this machine: the root certificate of what it issues, new at each start.
ROOT = f"https://{ADDRESS}:15000/roots/0"
CONFIGURATION = {
    "pebble": {
        "listenAddress": "0.0.0.0:14000",
        "managementListenAddress": "0.0.0.0:15000",
        "certificate": "/certificate/tls.crt",
        "privateKey": "/certificate/tls.key",
        "httpPort": 80,
        "tlsPort": 443,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": False,
        "retryAfter": {"authz": 1, "order": 1},
        "profiles": {"default": {"description": "What everybody gets", "validityPeriod": 7776000}},
    }
}


class Acme(AddOn):
    name = "pebble"

    def __init__(self, api: Api, images: dict[str, str], authority: Authority) -> None:
        super().__init__(api, images)
        hosts = (HOST, f"{NAME}.{SPACE}.svc", f"{NAME}.{SPACE}", ADDRESS)
        self._certificate, self._key = authority.issue(NAME, NAME, hosts=hosts)

    def manifests(self) -> list[Object]:
        pair = {"tls.crt": self._certificate.read_text("utf-8"), "tls.key": self._key.read_text("utf-8")}
        return [
            namespace(SPACE),
            config_map(NAME, SPACE, {"pebble.json": json.dumps(CONFIGURATION)}),
            config_map(f"{NAME}-tls", SPACE, pair, kind="Secret"),
            *account(NAME, SPACE, "view"),
            deployment(
                NAME,
                SPACE,
                self._images["pebble"],
                ["-config", "/configuration/pebble.json", "-dnsserver", f"{CLUSTER_DNS}:53"],
                ready={"tcpSocket": {"port": 14000}},
                environment={"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"},
                files={"/configuration": NAME, "/certificate": f"secret/{NAME}-tls"},
            ),
            service(NAME, SPACE, {"https": (14000, 14000), "management": (15000, 15000)}, ADDRESS),
        ]

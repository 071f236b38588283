"""A whole Kubernetes node: started in the order of its dependencies, ended as one.

While it is up, `/run/slipway-test-node/kubeconfig` (`places.KUBECONFIG`) is an administrator's kubeconfig, and the node
is at `enclosure.NODE_ADDRESS`: NodePorts, the ingress on 80 and 443, and a registry on 5000 without TLS. From this
machine pods and Services can be called by their own addresses too. `images.json` beside the kubeconfig names each image
of the harness by digest: `app`, `redis`, `haproxy`, `mongo`, `mongo-express`, `bridge`, …; a stack that names none gets
those in place of docker.io's. Hosts below `.test` lead to the ingress, for pods; `acme.DIRECTORY` is an ACME server
whose own certificate `certificates/ca.crt` vouches for. Logs are `/run/slipway-test-node/*.log`.
"""

import json
import time
from collections.abc import Callable

from acme import Acme
from api import Api
from cert_manager import CertManager
from certificates import Authority
from control_plane import API_URL, ControlPlane
from dns import Dns
from enclosure import Enclosure
from enforcer import Enforcer
from images import Images
from ingress import Ingress
from kubelet import Kubelet, Proxy
from manifests import AddOn
from metrics import Metrics
from places import IMAGES, KUBECONFIG, NAME
from process import wait_until
from registry import Registry
from runtime import Runtime
from volumes import Volumes


class Node:
    """Make it with `start`, end it with `stop`; `attach` finds one that another process started."""

    def __init__(self) -> None:
        self.enclosure = Enclosure()
        self.stages: dict[str, float] = {}

    def start(self) -> None:
        """Start everything. Whatever goes wrong, what was started is for the caller to stop."""
        self._stage("enclosure", self.enclosure.start)
        certificates = self.enclosure.run / "certificates"
        certificates.mkdir(mode=0o700)
        authority = Authority(certificates)
        plane = ControlPlane(self.enclosure, authority)
        self._stage("control plane", plane.start)
        authority.kubeconfig(KUBECONFIG, API_URL, "administrator", ("system:masters",))
        self._stage("registry", self._start_registry)
        self._stage("runtime", lambda: self._start_runtime(authority))
        self._stage("add-ons", lambda: self._start_add_ons(authority))
        (self.enclosure.run / "ready.json").write_text(json.dumps({"stages": self.stages}), encoding="utf-8")

    @property
    def ready(self) -> bool:
        """Whether a node is up, whoever started it."""
        return (self.enclosure.run / "ready.json").exists() and self.enclosure.attach()

    def stop(self) -> None:
        self.enclosure.stop()

    def _start_registry(self) -> None:
        images = Registry(self.enclosure).start(Images())
        IMAGES.write_text(json.dumps(images, indent=2), encoding="utf-8")

    def _start_add_ons(self, authority: Authority) -> None:
        """All at once, for most of their time they wait for one another."""
        api = Api(KUBECONFIG)
        images = json.loads(IMAGES.read_text(encoding="utf-8"))
        Volumes(self.enclosure).start(api)
        enforcer = Enforcer(self.enclosure)
        enforcer.start()
        kinds = (Dns, Metrics, CertManager, Ingress)
        add_ons: list[AddOn] = [*(kind(api, images) for kind in kinds), Acme(api, images, authority)]
        for add_on in add_ons:
            add_on.start()
        for add_on in add_ons:
            add_on.wait()
        enforcer.wait()

    def _start_runtime(self, authority: Authority) -> None:
        runtime = Runtime(self.enclosure)
        runtime.start()
        api = Api(KUBECONFIG)
        kubelet = Kubelet(self.enclosure, authority, runtime.socket)
        kubelet.start()
        proxy = Proxy(self.enclosure, authority)
        proxy.start()
        kubelet.wait(lambda: _is_ready(api))
        proxy.wait()
        path = "/api/v1/namespaces/default/serviceaccounts/default"
        wait_until("the default service account", lambda: api.get(path) is not None, seconds=30)

    def _stage(self, name: str, step: Callable[[], None]) -> None:
        began = time.monotonic()
        print(f"› start {name} …", end=" ", flush=True)
        step()
        self.stages[name] = round(time.monotonic() - began, 1)
        print(f"{self.stages[name]} s", flush=True)


def _is_ready(api: Api) -> bool:
    node = api.get(f"/api/v1/nodes/{NAME}")
    conditions = node["status"].get("conditions", []) if node else []
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)

"""A whole Kubernetes node: started in the order of its dependencies, ended as one.

While it is up, `/run/slipway-test-node/kubeconfig` (`places.KUBECONFIG`) is an administrator's kubeconfig, and the node
is at `enclosure.NODE_ADDRESS`: NodePorts, the ingress on 80 and 443, and a registry on 5000 without TLS. From this
machine pods and Services can be called by their own addresses too. `images.json` beside the kubeconfig names each image
of the harness by digest: `app`, `redis`, `haproxy`, `mongo`, `mongo-express`, `bridge`, …; a stack that names none gets
those in place of docker.io's. Hosts below `.test` lead to the ingress of class nginx, for pods, and those below
`.traefik.test` and `.internal` to that of class traefik; `acme.DIRECTORY` is an ACME server
whose own certificate `certificates/ca.crt` vouches for. Logs are `/run/slipway-test-node/*.log`.
"""

import contextlib
import json
import time
from collections.abc import Iterator

from harness.acme import Acme
from harness.api import Api
from harness.cert_manager import CertManager
from harness.certificates import Authority
from harness.control_plane import API_URL, ControlPlane
from harness.dns import Dns
from harness.enclosure import Enclosure
from harness.enforcer import Enforcer
from harness.images import Images
from harness.ingress import NginxIngress, TraefikIngress
from harness.kubelet import Kubelet, Proxy
from harness.manifests import AddOn
from harness.metrics import Metrics
from harness.places import IMAGES, KUBECONFIG, NAME, RUN
from harness.process import wait_until
from harness.registry import Registry
from harness.runtime import Runtime
from harness.volumes import Volumes


class Node:
    """Make it with `start`, end it with `stop`; `attach` finds one that another process started."""

    def __init__(self) -> None:
        self.enclosure = Enclosure()
        self.stages: dict[str, float] = {}
        self._ready, self._kept = RUN / "ready", RUN / "kept"

    def start(self) -> None:
        """Start everything. Whatever goes wrong, what was started is for the caller to stop."""
        with self.stage("enclosure"):
            self.enclosure.start()
        certificates = self.enclosure.run / "certificates"
        certificates.mkdir(mode=0o700)
        authority = Authority(certificates)
        plane = ControlPlane(self.enclosure, authority)
        with self.stage("control plane"):
            plane.start()
        authority.kubeconfig(KUBECONFIG, API_URL, "administrator", ("system:masters",))
        with self.stage("registry"):
            Registry(self.enclosure).start(Images())
        with self.stage("runtime"):
            self._start_runtime(authority)
        with self.stage("add-ons"):
            self._start_add_ons(authority)
        self._ready.touch()

    @property
    def ready(self) -> bool:
        """Whether a node is up, whoever started it."""
        return self._ready.exists() and self.enclosure.attach()

    @property
    def kept(self) -> bool:
        """Whether a node is up that is to stay up until somebody takes it down."""
        return self._kept.exists() and self.ready

    def keep(self) -> None:
        self._kept.touch()

    def refresh(self) -> None:
        """Bring the images of a node that is up to what the tree says now."""
        Registry(self.enclosure).push(Images())

    def stop(self) -> None:
        self.enclosure.stop()

    def _start_add_ons(self, authority: Authority) -> None:
        """All at once, for most of their time they wait for one another."""
        api = Api(KUBECONFIG)
        images = json.loads(IMAGES.read_text(encoding="utf-8"))
        Volumes(self.enclosure).start(api)
        enforcer = Enforcer(self.enclosure)
        enforcer.start()
        kinds = (Dns, Metrics, CertManager, NginxIngress, TraefikIngress)
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

    @contextlib.contextmanager
    def stage(self, name: str, *, quiet: bool = False) -> Iterator[None]:
        """Time a part of the work under a name, and say how long it took."""
        began = time.monotonic()
        if not quiet:
            print(f"› {name} …", end=" ", flush=True)
        try:
            yield
        finally:
            self.stages[name] = time.monotonic() - began
        if not quiet:
            print(f"{self.stages[name]:.1f} s", flush=True)


def _is_ready(api: Api) -> bool:
    node = api.get(f"/api/v1/nodes/{NAME}")
    conditions = node["status"].get("conditions", []) if node else []
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)

"""A whole Kubernetes node: started in the order of its dependencies, ended as one.

While it is up, `/run/slipway-test-node/kubeconfig` (`places.KUBECONFIG`) is an administrator's kubeconfig, and the node
is at `enclosure.NODE_ADDRESS`: NodePorts, the ingress on 80 and 443, and a registry on 5000 without TLS. From this
machine pods and Services can be called by their own addresses too. Logs are `/run/slipway-test-node/*.log`.
"""

import json
import time
from collections.abc import Callable

from api import Api
from certificates import Authority
from control_plane import API_URL, ControlPlane
from enclosure import Enclosure
from kubelet import Kubelet, Proxy
from places import KUBECONFIG, NAME
from process import wait_until
from runtime import Runtime


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
        self._stage("runtime", lambda: self._start_runtime(authority))
        (self.enclosure.run / "ready.json").write_text(json.dumps({"stages": self.stages}), encoding="utf-8")

    @property
    def ready(self) -> bool:
        """Whether a node is up, whoever started it."""
        return (self.enclosure.run / "ready.json").exists() and self.enclosure.attach()

    def stop(self) -> None:
        self.enclosure.stop()

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

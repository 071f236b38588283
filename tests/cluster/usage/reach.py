"""Who reaches whom: connections tried from inside pods, all of a pod's at once."""

import ipaddress
import socket
import subprocess
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from engine.lifecycle import wait_for
from engine.plugins.kube.client import Cluster
from harness.enclosure import HOST_ADDRESS, INTERFACE

from usage.pods import Pods

PATIENCE_SECONDS = 3
# Of a range that documentation may use and nobody has.
PUBLIC_ADDRESS = "203.0.113.10"
# A refusal is an answer too: only what nobody answers is shut. Every Debian has these programs.
TRY = 'timeout {seconds} bash -c "</dev/tcp/{address}/{port}" 2>/dev/null; [ $? = 124 ] || echo {address} {port}'


@dataclass(frozen=True)
class Target:
    """A port of a pod, or of an address outside."""

    name: str
    address: str
    port: int


def reached(kubectl: Callable[..., str], space: str, pod: str, targets: Iterable[Target]) -> set[str]:
    """The names of the targets that a pod gets an answer from."""
    targets = list(targets)
    for target in targets:
        ipaddress.ip_address(target.address)
    tries = [TRY.format(seconds=PATIENCE_SECONDS, address=target.address, port=target.port) for target in targets]
    script = "\n".join(f"({line}) &" for line in tries) + "\nwait"
    lines = kubectl("-n", space, "exec", pod, "--", "bash", "-c", script).split("\n")
    return {target.name for target in targets if f"{target.address} {target.port}" in lines}


def visitor(image: str, space: str, name: str, labels: dict[str, str], port: int | None) -> dict:
    """A pod that does nothing but try, and answer on a port if need be."""
    command = ["sleep", "3600"] if port is None else ["python3", "-m", "http.server", str(port), "--directory", "/tmp"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": space, "labels": labels},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": "visitor",
                    "image": image,
                    "command": command,
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "16Mi"},
                        "limits": {"cpu": "200m", "memory": "64Mi"},
                    },
                }
            ],
        },
    }


def settled(expected: dict[str, set[str]], tried: Callable[[str], set[str]], sources: Sequence[str]) -> None:
    """Every source reaches what it should and nothing else. What a start has not settled yet gets a little time."""
    found: dict[str, set[str]] = {}

    def as_expected() -> bool:
        found.update({source: tried(source) for source in sources if found.get(source) != expected[source]})
        return found == expected

    def difference() -> str:
        return "; ".join(
            f"{source}: wrongly open {sorted(found[source] - expected[source])}, "
            f"wrongly shut {sorted(expected[source] - found[source])}"
            for source in sources
            if found[source] != expected[source]
        )

    wait_for(as_expected, "the expected reach", difference)


@contextmanager
def outside_world() -> Iterator[list[Target]]:
    """Two addresses that are no pod's, answered by this machine: a public one, and one of a private range."""
    own = ["ip", "address", "add", f"{PUBLIC_ADDRESS}/32", "dev", INTERFACE]
    subprocess.run(own, check=True, capture_output=True)
    try:
        targets = [
            Target("internet", PUBLIC_ADDRESS, 443),
            Target("internet, without TLS", PUBLIC_ADDRESS, 80),
            Target("private", HOST_ADDRESS, 443),
        ]
        with ExitStack() as stack:
            for target in targets:
                # The kernel answers for it: nobody needs to accept.
                stack.enter_context(socket.create_server((target.address, target.port), backlog=128))
            yield targets
    finally:
        subprocess.run(["ip", "address", "delete", *own[3:]], capture_output=True)


# What is no pod of a stack and answers whoever no policy binds.
ANYTHING = frozenset({"dns", "kubernetes", "internet", "internet, without TLS", "private"})


class Walk:
    """The pods of a stack and visitors beside them, each trying every port of the others."""

    def __init__(self, cluster: Cluster, kubectl: Callable[..., str], image: str) -> None:
        self.targets: list[Target] = []
        self._cluster = cluster
        self._kubectl = kubectl
        self._image = image
        # By name: the namespace and the pod that tries.
        self._sources: dict[str, tuple[str, str]] = {}

    def component(self, space: str, name: str, port: int) -> None:
        """Pods of the stack: one tries, another is called, for a pod always reaches itself."""
        pods = sorted(Pods(self._cluster, space, name).all(), key=lambda pod: pod["metadata"]["name"])
        running = [pod for pod in pods if pod["status"]["phase"] == "Running"]
        self._sources[name] = (space, running[0]["metadata"]["name"])
        self.targets.append(Target(name, running[-1]["status"]["podIP"], port))

    def visitor(self, space: str, name: str, labels: dict[str, str] | None = None, port: int | None = None) -> None:
        """A pod of another namespace, or with the labels of one that is seldom there."""
        self._cluster.apply(visitor(self._image, space, name, labels or {}, port), "slipway-tests")
        self._sources[name] = (space, name)
        if port is not None:
            wait_for(lambda: self._runs(space, name), name)
            self.targets.append(Target(name, self._cluster.get("v1", "Pod", space, name)["status"]["podIP"], port))

    def services(self) -> None:
        """What every cluster has: its DNS and its API."""
        [dns] = self._cluster.select("v1", "Pod", "kube-system", "k8s-app=kube-dns")
        api = self._cluster.get("v1", "Service", "default", "kubernetes")
        self.targets.append(Target("dns", dns["status"]["podIP"], 53))
        self.targets.append(Target("kubernetes", api["spec"]["clusterIP"], 443))

    def check(self, expected: dict[str, set[str]]) -> None:
        """Every source reaches what is expected, and nothing else."""
        for space, pod in self._sources.values():
            wait_for(lambda where=(space, pod): self._runs(*where), pod)
        assert expected.keys() == self._sources.keys()
        settled(expected, self._tried, list(self._sources))

    def leave(self) -> None:
        for name, (space, pod) in self._sources.items():
            if name == pod:
                self._kubectl("-n", space, "delete", "pod", pod, "--now", "--wait=false", "--ignore-not-found")

    def _runs(self, space: str, pod: str) -> bool:
        return self._cluster.get("v1", "Pod", space, pod)["status"].get("phase") == "Running"

    def _tried(self, source: str) -> set[str]:
        return reached(self._kubectl, *self._sources[source], self.targets)

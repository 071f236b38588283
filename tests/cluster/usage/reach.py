"""Who reaches whom: connections tried from inside pods, all of a pod's at once."""

import ipaddress
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

from engine.lifecycle import wait_for
from engine.plugins.kube.client import Cluster

from usage.pods import Pods

PATIENCE_SECONDS = 3
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


def settled(expected: Mapping[str, set[str]], tried: Callable[[str], set[str]], sources: Sequence[str]) -> None:
    """Every source reaches what it should and nothing else. What a start has not settled yet gets a little time."""
    found: dict[str, set[str]] = {}

    def as_expected() -> bool:
        again = [source for source in sources if found.get(source) != expected[source]]
        with ThreadPoolExecutor(max_workers=len(sources)) as side_by_side:
            found.update(zip(again, side_by_side.map(tried, again), strict=True))
        return found == expected

    def difference() -> str:
        return "; ".join(
            f"{source}: wrongly open {sorted(found[source] - expected[source])}, "
            f"wrongly shut {sorted(expected[source] - found[source])}"
            for source in sources
            if found[source] != expected[source]
        )

    wait_for(as_expected, "the expected reach", difference)


class Walk:
    """The pods of a stack and visitors beside them, each trying every port of the others."""

    def __init__(self, cluster: Cluster, kubectl: Callable[..., str], image: str) -> None:
        self.targets: list[Target] = []
        self._cluster = cluster
        self._kubectl = kubectl
        self._image = image
        # By name: the namespace and the pod that tries.
        self._sources: dict[str, tuple[str, str]] = {}
        self._visitors: list[tuple[str, str]] = []

    def component(self, space: str, name: str, port: int, *, alone: bool) -> None:
        """Pods of the stack: one tries, another is called, for a pod always reaches itself."""
        pods = Pods(self._cluster, space, name)
        wait_for(lambda: len(pods.ready()) > (not alone), f"the pods of {name}", pods.ready)
        ready = sorted(pods.ready())
        self._sources[name] = (space, ready[0])
        self.targets.append(Target(name, self._cluster.get("v1", "Pod", space, ready[-1])["status"]["podIP"], port))

    def visitor(self, space: str, name: str, labels: Mapping[str, str] | None = None, port: int | None = None) -> None:
        """A pod of another namespace, or with the labels of one that is seldom there."""
        self._cluster.apply(visitor(self._image, space, name, dict(labels or {}), port), "slipway-tests")
        self._sources[name] = (space, name)
        self._visitors.append((space, name))
        if port is not None:
            wait_for(lambda: self._runs(space, name), name)
            self.targets.append(Target(name, self._cluster.get("v1", "Pod", space, name)["status"]["podIP"], port))

    def services(self) -> None:
        """What every cluster has: its DNS and its API."""
        dns, *_ = self._cluster.select("v1", "Pod", "kube-system", "k8s-app=kube-dns")
        api = self._cluster.get("v1", "Service", "default", "kubernetes")
        self.targets.append(Target("dns", dns["status"]["podIP"], 53))
        self.targets.append(Target("kubernetes", api["spec"]["clusterIP"], 443))

    def check(self, expected: Mapping[str, set[str]]) -> None:
        """Every source reaches what is expected, and nothing else."""
        for space, pod in self._sources.values():
            wait_for(lambda where=(space, pod): self._runs(*where), pod)
        assert expected.keys() == self._sources.keys()
        settled(expected, self._tried, list(self._sources))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """The visitors go, and are gone."""
        for space, name in self._visitors:
            metadata = {"namespace": space, "name": name}
            self._cluster.delete({"apiVersion": "v1", "kind": "Pod", "metadata": metadata}, "Background")
        wait_for(lambda: not any(self._cluster.get("v1", "Pod", *where) for where in self._visitors), "their end")

    def _runs(self, space: str, pod: str) -> bool:
        return self._cluster.get("v1", "Pod", space, pod)["status"].get("phase") == "Running"

    def _tried(self, source: str) -> set[str]:
        return reached(self._kubectl, *self._sources[source], self.targets)

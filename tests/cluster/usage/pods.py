"""The pods of a stack: which there are, which of them are ready, and whether a roll-out has ended."""

from engine.plugins.kube.client import Cluster


class Pods:
    """Of one component, by its name."""

    def __init__(self, cluster: Cluster, space: str, component: str) -> None:
        self.component = component
        self._cluster = cluster
        self._space = space

    def all(self) -> list[dict]:
        """Also those that are on their way out."""
        return self._cluster.select("v1", "Pod", self._space, f"app.kubernetes.io/name={self.component}")

    def names(self) -> set[str]:
        return {pod["metadata"]["name"] for pod in self.all()}

    def ready(self) -> list[str]:
        """Names of those that are to stay and are ready."""
        staying = [pod for pod in self.all() if "deletionTimestamp" not in pod["metadata"]]
        return [pod["metadata"]["name"] for pod in staying if _is_ready(pod)]

    def rolled_out(self) -> bool:
        """Whether the Deployment of this name has all it wants, and each of its latest revision."""
        live = self._cluster.get("apps/v1", "Deployment", self._space, self.component)
        assert live is not None, f"there is no Deployment {self.component}"
        status, wanted = live["status"], live["spec"]["replicas"]
        seen = status.get("observedGeneration") == live["metadata"]["generation"]
        counts = {status.get(name) for name in ("updatedReplicas", "availableReplicas", "replicas")}
        return seen and counts == {wanted}


def _is_ready(pod: dict) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)

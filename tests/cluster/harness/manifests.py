"""What the node's add-ons are made of: a few objects each, which start, are waited for and stop together."""

from collections.abc import Mapping, Sequence
from typing import Any

from harness.api import Api, Object, path_of
from harness.process import wait_until


class AddOn:
    """Objects in the order in which they are made. An add-on is ready when its Deployments and its `_works` say so."""

    name: str

    def __init__(self, api: Api, images: Mapping[str, str]) -> None:
        self._api = api
        self._images = images

    def manifests(self) -> list[Object]:
        raise NotImplementedError

    def start(self) -> None:
        for manifest in self.manifests():
            self._api.apply(manifest)

    def wait(self, seconds: float = 40) -> None:
        """Wait until it does what it is for."""
        deployments = [path_of(manifest) for manifest in self.manifests() if manifest["kind"] == "Deployment"]
        for path in deployments:
            wait_until(
                path, lambda path=path: self._available(path), seconds=seconds, why=lambda path=path: self._why(path)
            )
        wait_until(self.name, self._works, seconds=seconds)

    def stop(self) -> None:
        for manifest in reversed(self.manifests()):
            self._api.delete(path_of(manifest))

    def _works(self) -> bool:
        return True

    def _available(self, path: str) -> bool:
        status = (self._api.get(path) or {}).get("status", {})
        return status.get("availableReplicas", 0) >= 1 and status.get("unavailableReplicas", 0) == 0

    def _why(self, path: str) -> str:
        """What the Deployment's pods are, and the last that they said."""
        namespace, name = path.split("/namespaces/")[1].split("/deployments/")
        lines: list[str] = []
        for pod in self._api.items(f"/api/v1/namespaces/{namespace}/pods", labelSelector=f"app={name}"):
            states = [entry["state"] for entry in pod["status"].get("containerStatuses", [])]
            lines += [f"{pod['metadata']['name']}: {pod['status']['phase']} {states}"]
            lines += [self._api.log(namespace, pod["metadata"]["name"])]
        events = self._api.items(f"/api/v1/namespaces/{namespace}/events")
        return "\n".join([*lines, *(event["message"] for event in events[-5:])])


def namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def config_map(name: str, space: str, data: Mapping[str, str], kind: str = "ConfigMap") -> Object:
    content = {"data": dict(data)} if kind == "ConfigMap" else {"stringData": dict(data)}
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": space}, **content}


def service(name: str, space: str, ports: Mapping[str, tuple[int, str | int]], address: str | None = None) -> Object:
    """`ports`: by name, the Service's own and the container's; one whose name ends in `udp` is UDP."""
    entries = [
        {"name": label, "port": port, "targetPort": target, "protocol": "UDP" if label.endswith("udp") else "TCP"}
        for label, (port, target) in ports.items()
    ]
    spec: dict[str, Any] = {"selector": {"app": name}, "ports": entries}
    if address is not None:
        spec["clusterIP"] = address
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": space}, "spec": spec}


def account(name: str, space: str, role: str) -> list[Object]:
    """A service account with a cluster role."""
    subject = {"kind": "ServiceAccount", "name": name, "namespace": space}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": space}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": f"{space}-{name}-{role.replace(':', '-')}"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [subject],
        },
    ]


def cluster_role(name: str, rules: Sequence[Mapping[str, Sequence[str]]]) -> Object:
    api = "rbac.authorization.k8s.io/v1"
    return {
        "apiVersion": api,
        "kind": "ClusterRole",
        "metadata": {"name": name},
        "rules": [dict(rule) for rule in rules],
    }


def deployment(
    name: str,
    space: str,
    image: str,
    arguments: Sequence[str],
    *,
    ready: Mapping[str, Any] | None = None,
    ports: Sequence[Mapping[str, Any]] = (),
    environment: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    user: int = 65534,
) -> Object:
    """One pod under the service account of its own name; `files` mounts ConfigMaps and, as `secret/…`, Secrets."""
    volumes: list[dict[str, Any]] = [{"name": "tmp", "emptyDir": {}}]
    mounts: list[dict[str, Any]] = [{"name": "tmp", "mountPath": "/tmp"}]
    for index, (path, source) in enumerate((files or {}).items()):
        kind = (
            {"secret": {"secretName": source.removeprefix("secret/")}}
            if "/" in source
            else {"configMap": {"name": source}}
        )
        volumes.append({"name": f"files-{index}", **kind})
        mounts.append({"name": f"files-{index}", "mountPath": path, "readOnly": True})
    container: dict[str, Any] = {
        "name": name,
        "image": image,
        "args": list(arguments),
        "env": [
            {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            *({"name": key, "value": value} for key, value in (environment or {}).items()),
        ],
        "ports": [dict(port) for port in ports],
        "resources": {"requests": {"cpu": "5m", "memory": "20Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": mounts,
    }
    if ready is not None:
        container["readinessProbe"] = {**ready, "periodSeconds": 1, "failureThreshold": 3}
    template = {
        "metadata": {"labels": {"app": name, **(labels or {})}},
        "spec": {
            "serviceAccountName": name,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 5,
            "securityContext": {"runAsUser": user, "runAsGroup": user, "fsGroup": user, "runAsNonRoot": user != 0},
            "containers": [container],
            "volumes": volumes,
        },
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": space},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template},
    }

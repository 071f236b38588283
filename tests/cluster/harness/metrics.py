"""metrics-server: what pods use, for the autoscaler."""

from harness.api import Object
from harness.manifests import AddOn, account, cluster_role, deployment, service

SPACE = "kube-system"
NAME = "metrics-server"


class Metrics(AddOn):
    name = "the metrics API"

    def manifests(self) -> list[Object]:
        rules = [
            {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
            {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
        ]
        return [
            cluster_role("system:metrics-server", rules),
            *account(NAME, SPACE, "system:metrics-server"),
            account(NAME, SPACE, "system:auth-delegator")[1],
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": NAME, "namespace": SPACE},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "Role",
                    "name": "extension-apiserver-authentication-reader",
                },
                "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": SPACE}],
            },
            deployment(
                NAME,
                SPACE,
                self._images["metrics-server"],
                [
                    "--secure-port=10250",
                    "--cert-dir=/tmp",
                    "--kubelet-preferred-address-types=InternalIP",
                    "--kubelet-insecure-tls",
                    "--metric-resolution=10s",
                    "--kubelet-request-timeout=5s",
                ],
                ready={"tcpSocket": {"port": 10250}},
                ports=[{"containerPort": 10250, "name": "https"}],
            ),
            service(NAME, SPACE, {"https": (443, "https")}),
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": "v1beta1.metrics.k8s.io"},
                "spec": {
                    "service": {"name": NAME, "namespace": SPACE},
                    "group": "metrics.k8s.io",
                    "version": "v1beta1",
                    "insecureSkipTLSVerify": True,
                    "groupPriorityMinimum": 100,
                    "versionPriority": 100,
                },
            },
        ]

    def _works(self) -> bool:
        state = (self._api.get("/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io") or {})["status"]
        return any(entry["type"] == "Available" and entry["status"] == "True" for entry in state.get("conditions", []))

"""Kinds that the stacks use and that come with other software: definitions that take any fields of theirs.

With them the API server stores and names such objects; whether their fields are right, only the real definitions tell.
"""

from typing import Any

from engine.plugins.kube.client import Cluster

# Group, version, kind, plural, and whether it is in a namespace.
KINDS = (
    ("cert-manager.io", "v1", "Certificate", "certificates", True),
    ("cert-manager.io", "v1", "Issuer", "issuers", True),
    ("cert-manager.io", "v1", "ClusterIssuer", "clusterissuers", False),
    ("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors", True),
    ("monitoring.coreos.com", "v1", "PrometheusRule", "prometheusrules", True),
    ("linkerd.io", "v1alpha2", "ServiceProfile", "serviceprofiles", True),
    ("traefik.io", "v1alpha1", "Middleware", "middlewares", True),
    ("traefik.io", "v1alpha1", "ServersTransport", "serverstransports", True),
)


def define(cluster: Cluster, *, without: frozenset[str] = frozenset()) -> list[str]:
    """Add the definitions of all groups but some; returns the names of those that were not there."""
    added = []
    for group, version, kind, plural, namespaced in KINDS:
        name = f"{plural}.{group}"
        if group in without or cluster.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, name):
            continue
        cluster.apply(_definition(group, version, kind, plural, namespaced=namespaced), "slipway-tests")
        added.append(name)
    return added


def _definition(group: str, version: str, kind: str, plural: str, *, namespaced: bool) -> dict[str, Any]:
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced" if namespaced else "Cluster",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {
                        "openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}
                    },
                }
            ],
        },
    }

"""What differs from kind to kind: what the stand-in supports, and which changes make a new object.

The table of replacements is that of the official plugin, written down again from its documentation and behaviour.
"""

from typing import Any

from engine.plugins.wire import UNKNOWN, Path, at

# Not objects of the API, or objects that the tests have no use for: refused, lest a test passes without testing.
REFUSED_GROUPS = frozenset({"helm.sh", "yaml", "kustomize", "apiextensions.k8s.io/v1beta1", "index"})
REPLACED: dict[tuple[str, str], tuple[Path, ...]] = {
    ("", "ConfigMap"): (("data",), ("binaryData",)),
    ("", "Secret"): (("data",), ("stringData",), ("type",)),
    ("", "Service"): (("spec", "clusterIP"),),
    ("", "ResourceQuota"): (("spec", "scopes"),),
    ("", "Pod"): (("spec",),),
    ("", "PersistentVolumeClaim"): (
        ("spec", "accessModes"),
        ("spec", "selector"),
        ("spec", "storageClassName"),
        ("spec", "volumeName"),
    ),
    ("apps", "Deployment"): (("spec", "selector"),),
    ("apps", "DaemonSet"): (("spec", "selector"),),
    ("apps", "StatefulSet"): (
        ("spec", "podManagementPolicy"),
        ("spec", "revisionHistoryLimit"),
        ("spec", "selector"),
        ("spec", "serviceName"),
        ("spec", "volumeClaimTemplates"),
    ),
    ("batch", "Job"): (
        ("spec", "completions"),
        ("spec", "parallelism"),
        ("spec", "selector"),
        ("spec", "template"),
    ),
    ("rbac.authorization.k8s.io", "RoleBinding"): (("roleRef",),),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): (("roleRef",),),
    ("storage.k8s.io", "StorageClass"): (("parameters",), ("provisioner",)),
}
IDENTITY: tuple[Path, ...] = (("metadata", "name"), ("metadata", "namespace"))


def refusal(token: str) -> str | None:
    """Why a type cannot be stood in for, or None."""
    parts = token.split(":")
    if len(parts) != 3:
        return f"the stand-in for the kubernetes plugin does not know {token}"
    group, kind = parts[1].split("/")[0], parts[2]
    if group in REFUSED_GROUPS or parts[1] in REFUSED_GROUPS or kind.endswith(("Patch", "List")):
        return f"the stand-in for the kubernetes plugin does not support {kind} of {parts[1]}; see docs/clusters.md"
    return None


def api_version(token: str) -> str:
    """Of a type token: `kubernetes:core/v1:Service` is of `v1`."""
    return token.split(":")[1].removeprefix("core/")


def replaces(thing: dict[str, Any], path: Path) -> bool:
    """Whether a change at `path`, or of everything at it, makes a new object."""
    version = str(thing.get("apiVersion", ""))
    group = version.rpartition("/")[0]
    rows = REPLACED.get((group, str(thing.get("kind", ""))), ())
    # A parent that is not known yet may hold another value of the field: it counts.
    unknown_parent = at(thing, path) is UNKNOWN
    return any(path[: len(row)] == row or (unknown_parent and row[: len(path)] == path) for row in (*IDENTITY, *rows))


def skips_waiting(thing: dict[str, Any]) -> bool:
    annotations = (thing.get("metadata") or {}).get("annotations") or {}
    return isinstance(annotations, dict) and annotations.get("pulumi.com/skipAwait") == "true"

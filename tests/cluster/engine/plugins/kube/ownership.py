"""Who owns which field: the stand-in applies under one name, and takes over what `kubectl` wrote by hand."""

from typing import Any

from engine.plugins.kube.client import ApiError, Cluster

MANAGER = "pulumi-kubernetes-stand-in"
# Controllers write how far an object is at any moment, most often just after it was changed.
TRIES = 10


def take_over(cluster: Cluster, live: dict[str, Any]) -> None:
    """Make the fields that kubectl wrote the stand-in's own, as the official plugin does. Others stay others'."""
    for last in (*[False] * (TRIES - 1), True):
        operations = _taking_over(live)
        if not operations:
            return
        try:
            cluster.patch(live, operations)
        except ApiError as refusal:
            if last or refusal.status != 409:
                raise
        else:
            return
        metadata = live["metadata"]
        again = cluster.get(live["apiVersion"], live["kind"], metadata.get("namespace"), metadata["name"])
        if again is None:
            return
        live = again


def _taking_over(live: dict[str, Any]) -> list[dict[str, Any]]:
    """What makes the fields ours; nothing where kubectl wrote none."""
    entries: list[dict[str, Any]] = (live.get("metadata") or {}).get("managedFields") or []
    foreign = [entry for entry in entries if entry["manager"].startswith("kubectl") and not entry.get("subresource")]
    if not foreign:
        return []
    kept = [entry for entry in entries if entry not in foreign and not _ours(entry)]
    owned: dict[str, Any] = {}
    for entry in [*filter(_ours, entries), *foreign]:
        _merge(owned, entry.get("fieldsV1") or {})
    mine = {
        "manager": MANAGER,
        "operation": "Apply",
        "apiVersion": live["apiVersion"],
        "fieldsType": "FieldsV1",
        "fieldsV1": owned,
    }
    return [
        {"op": "replace", "path": "/metadata/managedFields", "value": [*kept, mine]},
        # Refused if somebody was faster.
        {"op": "replace", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
    ]


def _ours(entry: dict[str, Any]) -> bool:
    return entry["manager"] == MANAGER and entry["operation"] == "Apply" and not entry.get("subresource")


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value

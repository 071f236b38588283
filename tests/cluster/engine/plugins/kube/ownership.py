"""Who owns which field: the stand-in applies under one name, and takes over what `kubectl` wrote by hand."""

from typing import Any

from engine.plugins.kube.client import Cluster

MANAGER = "pulumi-kubernetes-stand-in"


def take_over(cluster: Cluster, live: dict[str, Any]) -> dict[str, Any]:
    """Make the fields that kubectl wrote the stand-in's own, as the official plugin does. Others stay others'."""
    entries: list[dict[str, Any]] = (live.get("metadata") or {}).get("managedFields") or []
    foreign = [entry for entry in entries if entry["manager"].startswith("kubectl") and not entry.get("subresource")]
    if not foreign:
        return live
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
    return cluster.patch(
        live,
        [
            {"op": "replace", "path": "/metadata/managedFields", "value": [*kept, mine]},
            # Refused if somebody was faster.
            {"op": "replace", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
        ],
    )


def _ours(entry: dict[str, Any]) -> bool:
    return entry["manager"] == MANAGER and entry["operation"] == "Apply" and not entry.get("subresource")


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value

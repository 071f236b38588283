"""Names, labels and selectors of what an agent becomes."""

from __future__ import annotations

from typing import Final

from app.kubernetes import Object
from app.operator.model import API_VERSION, KIND, Agent

COMPONENT: Final = "agent"
PART_OF: Final = "slipway"
MANAGER: Final = "slipway-operator"
"""Who manages the objects: their label, and the field manager of every change."""
MANAGED_BY: Final = "app.kubernetes.io/managed-by"


def selector(name: str, component: str = COMPONENT) -> dict[str, str]:
    """The immutable set of labels that finds the pods of one workload."""
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/component": component}


def labels(name: str) -> dict[str, str]:
    return {**selector(name), "app.kubernetes.io/part-of": PART_OF, MANAGED_BY: MANAGER}


def owner(agent: Agent) -> Object:
    """Deleted with its agent; nothing else may delete the agent before what it owns."""
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": agent.name,
        "uid": agent.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def thing(api_version: str, kind: str, agent: Agent, name: str, **rest: object) -> Object:
    """One object of the agent's, in its namespace."""
    metadata = {
        "name": name,
        "namespace": agent.namespace,
        "labels": labels(agent.name),
        "ownerReferences": [owner(agent)],
    }
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}

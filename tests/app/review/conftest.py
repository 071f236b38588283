import json
from pathlib import Path

import pytest

from app.review import review

KINDS = {
    "StatefulSet": "kubernetes:apps/v1:StatefulSet",
    "Deployment": "kubernetes:apps/v1:Deployment",
    "ConfigMap": "kubernetes:core/v1:ConfigMap",
    "Secret": "kubernetes:core/v1:Secret",
    "Namespace": "kubernetes:core/v1:Namespace",
    "PersistentVolume": "kubernetes:core/v1:PersistentVolume",
    "PersistentVolumeClaim": "kubernetes:core/v1:PersistentVolumeClaim",
    "CustomResourceDefinition": "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition",
    "RandomPassword": "random:index/randomPassword:RandomPassword",
}


def make_step(op, kind, name, *, old=None, new=None, diff=None, parent="", protect=False, retain=False, **extra):
    """One step as the engine writes it. `diff` maps paths to kinds."""
    of_type = KINDS[kind]
    urn = f"urn:pulumi:dev::slipway::{parent + '$' if parent else ''}{of_type}::{name}"
    step = {"op": op, "urn": urn, "detailedDiff": None, **extra}
    for key, inputs in (("oldState", old), ("newState", new)):
        if inputs is not None:
            step[key] = {
                "urn": urn,
                "custom": True,
                "type": of_type,
                "inputs": inputs,
                "outputs": inputs,
                "protect": protect,
                "retainOnDelete": retain,
            }
    if diff:
        step["detailedDiff"] = {path: {"kind": what, "inputDiff": False} for path, what in diff.items()}
    return step


@pytest.fixture
def step():
    return make_step


@pytest.fixture
def look():
    """Review these steps."""

    def look(*steps, allow=(), config=None, diagnostics=None, **summary):
        document = {"config": config or {}, "steps": list(steps), "changeSummary": summary or {"same": 1}}
        if diagnostics:
            document["diagnostics"] = diagnostics
        return review(json.dumps(document).encode(), allow=allow)

    return look


@pytest.fixture
def fixture():
    return lambda name: (Path(__file__).parent / "fixtures" / name).read_bytes()

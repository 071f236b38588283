"""What Check fills in: a generated name, the namespace, and the values of a Secret in one place."""

import base64
import copy
import hashlib
import secrets
from typing import Any

from engine.plugins.kube.client import Cluster, UnknownKind
from engine.plugins.wire import UNKNOWN, Properties, at

AUTONAMED = "pulumi.com/autonamed"


def name(news: dict[str, Any], olds: dict[str, Any], resource: str, seed: bytes) -> None:
    """A name with a random end where the program gives none; the one from last time, once it has one."""
    metadata = news.setdefault("metadata", {})
    if not isinstance(metadata, dict) or metadata.get("name") or metadata.get("generateName"):
        return
    annotations = metadata.setdefault("annotations", {})
    if is_generated(olds):
        metadata["name"] = at(olds, ("metadata", "name"))
    else:
        random_end = hashlib.sha256(seed).hexdigest() if seed else secrets.token_hex(8)
        metadata["name"] = f"{resource}-{random_end[:8]}"
    if isinstance(annotations, dict):
        annotations[AUTONAMED] = "true"


def is_generated(inputs: dict[str, Any]) -> bool:
    return at(inputs, ("metadata", "annotations", AUTONAMED)) == "true"


def place(cluster: Cluster, news: dict[str, Any], default: str) -> None:
    """The default namespace where the program gives none."""
    metadata = news["metadata"]
    if not isinstance(metadata, dict) or metadata.get("namespace"):
        return
    try:
        namespaced = cluster.place(news["apiVersion"], news["kind"]).namespaced
    except UnknownKind:
        return
    if namespaced:
        metadata["namespace"] = default


def fold_secret(news: Properties) -> None:
    """`stringData` is for writing only: folded into `data`, or every refresh would miss it."""
    given = news.plain.get("stringData")
    if news.plain.get("kind") != "Secret" or given is None:
        return
    data = news.plain.get("data", {})
    if given is UNKNOWN or data is UNKNOWN:
        news.plain["data"] = UNKNOWN
    else:
        encoded = {
            key: value if value is UNKNOWN else base64.b64encode(str(value).encode()).decode()
            for key, value in given.items()
        }
        news.plain["data"] = {**data, **encoded}
    del news.plain["stringData"]
    news.secrets = {path for path in news.secrets if path[:1] != ("stringData",)} | {("data",)}


def spell(value: Any) -> Any:
    """Schemas of definitions as the API server spells them: the SDK has `x_kubernetes_list_type` for its classes."""
    if isinstance(value, dict):
        return {
            key.replace("_", "-") if key.startswith("x_kubernetes_") else key: spell(item)
            for key, item in value.items()
        }
    return [spell(item) for item in value] if isinstance(value, list) else value


def importable(live: dict[str, Any]) -> dict[str, Any]:
    """Of an object that others made, what a program would have to say."""
    inputs = {key: copy.deepcopy(value) for key, value in live.items() if key != "status"}
    metadata = live["metadata"]
    inputs["metadata"] = {
        key: metadata[key] for key in ("name", "namespace", "labels", "annotations") if metadata.get(key)
    }
    return inputs

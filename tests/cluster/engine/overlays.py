"""What the tests change in a stack's file to fit the test node: fewer replicas and requests, the node's images, its
registry and its ACME server; or to fit somebody else's cluster. The rest, hosts included, is deployed as the repository
ships it.
"""

import base64
from typing import Any

from engine.plugins.kube.client import Cluster
from engine.stack import stack_config
from harness.acme import DIRECTORY
from harness.places import RUN
from harness.runtime import REGISTRY

SMALL = {"requests": {"cpu": "20m", "memory": "64Mi"}}
# Their pods use more than so small a request as soon as they start: each stack would have all the replicas it may.
FEW_SMALL = {"autoscaling": {"maxReplicas": 3}, "resources": SMALL}
_WITH_CERTIFICATES = ("map-server", "prod")
_OF_ACME = ("directoryUrl", "email", "solverClass")


def for_node(name: str, images: dict[str, str]) -> dict[str, Any]:
    """What to lay over the file of one of the seven stacks. `images` are the node's, by name."""
    overlay: dict[str, Any] = {}
    if name == "prod":
        overlay |= _prod(images)
    if name == "map-server":
        overlay |= {
            "slipway:servers": {"mcp-map-server": FEW_SMALL},
            "slipway:tls": {"directoryUrl": DIRECTORY, "caBundle": _trusted()},
        }
    if name == "websocket-server":
        overlay |= {"slipway:servers": {"mcp-server": FEW_SMALL}}
    if name == "high-command":
        # Four workers in three pods are twelve interpreters.
        overlay |= {"slipway:servers": {"high-command": {"workers": 2, **FEW_SMALL}}}
    return overlay


def _prod(images: dict[str, str]) -> dict[str, Any]:
    return {
        "slipway:image": {"repository": f"{REGISTRY}/slipway-prod"},
        "slipway:servers": {"web": {"workers": 1, **FEW_SMALL}},
        "slipway:redis": {"image": images["redis"]},
        # What stands in for MongoDB on the node can be one member only.
        "slipway:mongodb": {"image": images["mongo"], "replicaSet": None, "resources": SMALL},
        "slipway:tls": {"directoryUrl": DIRECTORY, "caBundle": _trusted()},
    }


def _trusted() -> str:
    """The authority that vouches for the node's ACME server, as a stack's `caBundle` wants it."""
    return base64.b64encode((RUN / "certificates" / "ca.crt").read_bytes()).decode()


def for_existing(name: str, image: str) -> dict[str, Any]:
    """What to lay over it for a cluster that is not the tests' own, whose nodes pull this image."""
    overlay: dict[str, Any] = {"slipway:image": {"strategy": "published", "ref": image}}
    if name in _WITH_CERTIFICATES:
        # Nobody outside would ask a host of an example for its certificate.
        overlay["slipway:tls"] = {"mode": "selfSigned", **dict.fromkeys(_OF_ACME)}
    return overlay


def lacking(name: str, cluster: Cluster) -> list[str]:
    """What a stack wants of a cluster and the tests do not bring along."""
    config = stack_config(name)
    groups = {group["name"] for group in cluster.request("GET", "/apis")["groups"]}
    classes = {entry["metadata"]["name"] for entry in cluster.select("networking.k8s.io/v1", "IngressClass", None)}
    wanted = config.get("slipway:exposure", {})
    chosen = wanted.get("className", wanted.get("profile", "nodePort"))
    found = [] if chosen == "nodePort" or chosen in classes else [f"an ingress controller of class {chosen}"]
    return found if name not in _WITH_CERTIFICATES or "cert-manager.io" in groups else [*found, "cert-manager"]

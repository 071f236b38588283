"""What a pod says of itself."""

from __future__ import annotations

from app.gateway.pods.api import inside
from app.gateway.pods.options import DIGEST, FETCHED, SERVER, PodOptions
from app.kubernetes import Object


def name_of(pod: Object) -> str:
    return str(pod["metadata"]["name"])


def server_of(pod: Object) -> str:
    return str(inside(pod["metadata"], "labels").get(SERVER) or "")


def digest_of(pod: Object, options: PodOptions) -> str:
    """Which spec it was made from; empty where its package would be fetched otherwise today."""
    annotations = inside(pod["metadata"], "annotations")
    if annotations.get(FETCHED) not in (None, options.fetched()):
        return ""
    return str(annotations.get(DIGEST) or "")


def created_at(pod: Object) -> str:
    return str(pod["metadata"].get("creationTimestamp") or "")

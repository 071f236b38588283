"""What a pod says of itself."""

from __future__ import annotations

from app.gateway.pods.api import inside
from app.gateway.pods.options import DIGEST, SERVER
from app.kubernetes import Object


def name_of(pod: Object) -> str:
    return str(pod["metadata"]["name"])


def server_of(pod: Object) -> str:
    return str(inside(pod["metadata"], "labels").get(SERVER) or "")


def digest_of(pod: Object) -> str:
    return str(inside(pod["metadata"], "annotations").get(DIGEST) or "")


def created_at(pod: Object) -> str:
    return str(pod["metadata"].get("creationTimestamp") or "")

"""What all pods of a gateway have in common."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

GATEWAY: Final = "slipway.dev/gateway"
"""Label: the gateway that started a pod."""
SERVER: Final = "slipway.dev/server"
"""Label: which server a pod is."""
DIGEST: Final = "slipway.dev/digest"
"""Annotation: the digest of the `LaunchSpec` that a pod was made from."""
FETCHED: Final = "slipway.dev/fetched"
"""Annotation: the digest of where its package comes from, and by which Secret."""
REACHED: Final = "slipway.dev/reached"
"""Annotation: how a pod's server is spoken to."""
INTERNET: Final = "slipway.dev/internet"
"""Label: network policies let a pod with it call out of the cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodOptions:
    """Where pods run and how they look. They belong to the Deployment `owner`, where one is named."""

    namespace: str = "default"
    gateway: str = "slipway-gateway"
    bridge_image: str = "archon-mcp:latest"
    owner: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Of every server: where packages come from, by which way out. Nothing secret."""
    child_prefix: str = "SLIPWAY_CHILD_"
    """A bridge gives variables that begin so to its children, without it, and reads none of them itself."""
    environment_secret: str | None = None
    """A Secret, all keys of which are variables of every server that is a package: tokens of registries."""
    pull_secret: str | None = None
    port: int = 8000
    cache_size: str = "2Gi"
    scratch_size: str = "512Mi"
    user: int = 1000
    grace: int = 10
    """Seconds that a server has to end by itself."""
    starts_within: int = 900
    """Seconds after which the kubelet starts a container anew that never became ready."""
    elsewhere_after: int = 30
    """Seconds after which a server leaves a node that does not answer."""
    most_sessions: int = 8
    """Sessions of one server that is spoken to through the exec API."""
    patience: float = 20.0
    """Seconds that the cluster has to answer before its pods are called unknown."""
    after_input: float = 2.0
    """Seconds that a process started through the exec API has to end, once its input ended."""

    def fetched(self) -> str:
        """A digest of where packages come from and by which Secret; one that is gone lets no container start again."""
        said = f"{self.environment_secret or ''} {sorted(self.environment.items())}"
        return hashlib.sha256(said.encode()).hexdigest()[:16]

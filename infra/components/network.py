"""Zero trust between pods: everything is denied, then each edge of the platform is allowed, from both ends."""

from dataclasses import dataclass

import pulumi

from infra.component import Component
from infra.edges import Edge


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    namespace: pulumi.Input[str]
    edges: tuple[Edge, ...]


class Network(Component):
    """Owns every NetworkPolicy of the platform."""

"""The operator: makes workloads from `MCPAgent` objects."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

from infra import naming
from infra.component import Component
from infra.edges import Pods
from infra.pods import Resources


@dataclass(frozen=True, kw_only=True)
class OperatorArgs:
    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    registry_url: pulumi.Input[str]
    # More than one waits for the leader's lease.
    replicas: int = 1
    resources: Resources = field(default_factory=Resources)
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    prometheus: bool = True
    pull_secret: pulumi.Input[str] | None = None


class Operator(Component):
    """The operator and what it may do in the cluster. `pods` call the Kubernetes API and the registry."""

    def __init__(self, name: str, args: OperatorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mesh", "Operator", name, opts)
        self.selector = naming.selector(name, "operator")
        self.pods = Pods(name=name, selector=self.selector)
        self.finish({})

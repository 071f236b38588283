"""What every component shares: its type token, its children's options and its outputs."""

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_kubernetes.meta.v1.outputs import ObjectMeta


class Component(pulumi.ComponentResource):
    """A group of resources with typed outputs.

    A subclass takes a name and one frozen args dataclass, creates its children with `self.child_options()`, sets its
    outputs as attributes and ends with `self.finish(...)`.
    """

    def __init__(self, module: str, kind: str, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(f"slipway:{module}:{kind}", name, None, opts)
        self.name = name

    def child_options(self, **extra: Any) -> pulumi.ResourceOptions:
        """Options for a child: parented here, plus whatever `ResourceOptions` takes."""
        return pulumi.ResourceOptions(parent=self, **extra)

    def stateful_options(self, *, protect: bool, **extra: Any) -> pulumi.ResourceOptions:
        """Options for a child that holds data: `protect` keeps it from deletion, and its data outlives the stack."""
        return self.child_options(protect=protect, retain_on_delete=protect, **extra)

    def finish(self, outputs: Mapping[str, pulumi.Input[Any]]) -> None:
        """Close the component: nothing may be added to it afterwards."""
        self.register_outputs(dict(outputs))


def object_name(metadata: pulumi.Output[ObjectMeta]) -> pulumi.Output[str]:
    """The name of an object in the cluster, generated ones too. Who uses it waits for the object."""
    return metadata.apply(lambda found: found.name or "")

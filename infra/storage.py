"""Volumes that outlive pods, and the schedule on which their data is copied."""

from dataclasses import dataclass, field

import pulumi
from pulumi_kubernetes.core.v1 import PersistentVolumeClaimSpecArgs, VolumeResourceRequirementsArgs


@dataclass(frozen=True, kw_only=True)
class Storage:
    """A persistent volume."""

    size: str = "10Gi"
    # None takes the cluster's default class.
    storage_class: pulumi.Input[str] | None = None

    def claim(self) -> PersistentVolumeClaimSpecArgs:
        """The spec of a claim for it, to be mounted by one node at a time."""
        return PersistentVolumeClaimSpecArgs(
            access_modes=["ReadWriteOnce"],
            storage_class_name=self.storage_class,
            resources=VolumeResourceRequirementsArgs(requests={"storage": self.size}),
        )


@dataclass(frozen=True, kw_only=True)
class Backup:
    """Regular copies of a store's data onto a volume of their own; the oldest above `retention` go first."""

    schedule: str = "0 3 * * *"
    retention: int = 7
    storage: Storage = field(default_factory=Storage)
    # Image with the dump tool; None takes the store's own.
    image: pulumi.Input[str] | None = None

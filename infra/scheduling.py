"""Where pods of one workload go: apart from one another, and evenly over nodes and zones."""

from collections.abc import Mapping
from typing import Literal

from pulumi_kubernetes.core.v1 import (
    AffinityArgs,
    PodAffinityTermArgs,
    PodAntiAffinityArgs,
    TopologySpreadConstraintArgs,
    WeightedPodAffinityTermArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs

AntiAffinity = Literal["preferred", "required", "none"]
NODE = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"


def apart(selector: Mapping[str, str], mode: AntiAffinity = "preferred") -> AffinityArgs | None:
    """Keep the pods of `selector` off one another's nodes, where possible or always."""
    if mode == "none":
        return None
    term = PodAffinityTermArgs(topology_key=NODE, label_selector=LabelSelectorArgs(match_labels=dict(selector)))
    if mode == "required":
        return AffinityArgs(
            pod_anti_affinity=PodAntiAffinityArgs(required_during_scheduling_ignored_during_execution=[term])
        )
    return AffinityArgs(
        pod_anti_affinity=PodAntiAffinityArgs(
            preferred_during_scheduling_ignored_during_execution=[
                WeightedPodAffinityTermArgs(weight=100, pod_affinity_term=term)
            ]
        )
    )


def evenly(selector: Mapping[str, str], *, per_revision: bool = True) -> list[TopologySpreadConstraintArgs]:
    """Spread the pods of `selector` over zones and nodes, never at the price of not starting one.

    `per_revision` counts the pods of one Deployment revision alone, so a roll-out ends as even as it began; a
    StatefulSet has no such label.
    """
    return [
        TopologySpreadConstraintArgs(
            max_skew=1,
            topology_key=key,
            when_unsatisfiable="ScheduleAnyway",
            label_selector=LabelSelectorArgs(match_labels=dict(selector)),
            match_label_keys=["pod-template-hash"] if per_revision else None,
        )
        for key in (ZONE, NODE)
    ]

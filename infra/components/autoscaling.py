"""Scaling by load: one HorizontalPodAutoscaler on CPU, memory and, where wanted, metrics of the pods."""

from dataclasses import dataclass

import pulumi

from infra.component import Component

_API_VERSIONS = {"Deployment": "apps/v1", "StatefulSet": "apps/v1"}


@dataclass(frozen=True, kw_only=True)
class PodMetric:
    """A metric that the pods export and a metrics adapter serves, and the average to keep it at."""

    name: str
    average: str


@dataclass(frozen=True, kw_only=True)
class Scaling:
    """Between how many replicas, and by what. A percentage is of the container's request; None leaves it out."""

    min_replicas: int = 2
    max_replicas: int = 10
    cpu: int | None = 70
    memory: int | None = 80
    pod_metrics: tuple[PodMetric, ...] = ()
    scale_down_stabilization_seconds: int = 300


@dataclass(frozen=True, kw_only=True)
class AutoscalingArgs:
    """`target` is the name of the workload in the cluster, which must be declared without `replicas`."""

    namespace: pulumi.Input[str]
    target: pulumi.Input[str]
    scaling: Scaling
    component: str
    target_kind: str = "Deployment"


class Autoscaling(Component):
    """Owns the HorizontalPodAutoscaler of one workload."""

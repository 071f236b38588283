"""Scaling by load: one HorizontalPodAutoscaler on CPU, memory and, where wanted, metrics of the pods."""

from dataclasses import dataclass
from typing import Literal

import pulumi
from pulumi_kubernetes.autoscaling.v2 import (
    CrossVersionObjectReferenceArgs,
    HorizontalPodAutoscaler,
    HorizontalPodAutoscalerBehaviorArgs,
    HorizontalPodAutoscalerSpecArgs,
    HPAScalingPolicyArgs,
    HPAScalingRulesArgs,
    MetricIdentifierArgs,
    MetricSpecArgs,
    MetricTargetArgs,
    PodsMetricSourceArgs,
    ResourceMetricSourceArgs,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra import naming
from infra.component import Component, object_name

WorkloadKind = Literal["Deployment", "StatefulSet"]


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
    target_kind: WorkloadKind = "Deployment"


class Autoscaling(Component):
    """Owns the HorizontalPodAutoscaler of one workload. Output `autoscaler`: its name in the cluster."""

    def __init__(self, name: str, args: AutoscalingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("autoscaling", "Autoscaling", name, opts)
        scaling = args.scaling
        autoscaler = HorizontalPodAutoscaler(
            naming.child(name, "hpa"),
            metadata=ObjectMetaArgs(name=name, namespace=args.namespace, labels=naming.labels(name, args.component)),
            spec=HorizontalPodAutoscalerSpecArgs(
                scale_target_ref=CrossVersionObjectReferenceArgs(
                    api_version="apps/v1", kind=args.target_kind, name=args.target
                ),
                min_replicas=scaling.min_replicas,
                max_replicas=scaling.max_replicas,
                metrics=_metrics(scaling),
                behavior=_behavior(scaling),
            ),
            opts=self.child_options(),
        )
        self.autoscaler: pulumi.Output[str] = object_name(autoscaler.metadata)
        self.finish({"autoscaler": self.autoscaler})


def _metrics(scaling: Scaling) -> list[MetricSpecArgs]:
    utilization = {"cpu": scaling.cpu, "memory": scaling.memory}
    resources = [
        MetricSpecArgs(
            type="Resource",
            resource=ResourceMetricSourceArgs(
                name=resource, target=MetricTargetArgs(type="Utilization", average_utilization=percentage)
            ),
        )
        for resource, percentage in utilization.items()
        if percentage is not None
    ]
    pods = [
        MetricSpecArgs(
            type="Pods",
            pods=PodsMetricSourceArgs(
                metric=MetricIdentifierArgs(name=metric.name),
                target=MetricTargetArgs(type="AverageValue", average_value=metric.average),
            ),
        )
        for metric in scaling.pod_metrics
    ]
    if not (resources or pods):
        raise ValueError("scaling names no metric to scale by: set cpu, memory or a pod metric")
    return resources + pods


def _behavior(scaling: Scaling) -> HorizontalPodAutoscalerBehaviorArgs:
    """Up at once, by half again or four pods; down by a quarter a minute, because every pod taken
    away ends connections.
    """
    return HorizontalPodAutoscalerBehaviorArgs(
        scale_up=HPAScalingRulesArgs(
            stabilization_window_seconds=0,
            select_policy="Max",
            policies=[
                HPAScalingPolicyArgs(type="Percent", value=50, period_seconds=30),
                HPAScalingPolicyArgs(type="Pods", value=4, period_seconds=30),
            ],
        ),
        scale_down=HPAScalingRulesArgs(
            stabilization_window_seconds=scaling.scale_down_stabilization_seconds,
            policies=[HPAScalingPolicyArgs(type="Percent", value=25, period_seconds=60)],
        ),
    )

"""What scaling by load registers."""

import pytest

from infra.components.autoscaling import Autoscaling, AutoscalingArgs, PodMetric, Scaling


@pytest.fixture
def autoscaler(run):
    """The HorizontalPodAutoscaler made for a Scaling of these arguments."""

    def make(target_kind="Deployment", **scaling):
        args = AutoscalingArgs(
            namespace="mcp", target="war", target_kind=target_kind, scaling=Scaling(**scaling), component="server"
        )
        return run(lambda: Autoscaling("war", args)).one("HorizontalPodAutoscaler")

    return make


def utilization(autoscaler):
    return {
        metric["resource"]["name"]: metric["resource"]["target"]["averageUtilization"]
        for metric in autoscaler.at("spec.metrics")
        if metric["type"] == "Resource"
    }


def test_it_scales_from_2_to_10_pods_at_70_percent_cpu_and_80_percent_memory(autoscaler):
    made = autoscaler()
    assert (made.at("spec.minReplicas"), made.at("spec.maxReplicas")) == (2, 10)
    assert utilization(made) == {"cpu": 70, "memory": 80}


def test_it_speaks_the_second_version_of_the_api_and_is_named_like_its_target(autoscaler):
    made = autoscaler()
    assert made.type == "kubernetes:autoscaling/v2:HorizontalPodAutoscaler"
    assert made.at("metadata.name") == "war"


def test_it_scales_a_stateful_set_too(autoscaler):
    assert autoscaler("StatefulSet").at("spec.scaleTargetRef.kind") == "StatefulSet"


def test_a_metric_can_be_left_out(autoscaler):
    assert utilization(autoscaler(memory=None)) == {"cpu": 70}


def test_metrics_of_the_pods_are_kept_at_an_average(autoscaler):
    made = autoscaler(cpu=None, memory=None, pod_metrics=(PodMetric(name="slipway_sessions_open", average="200"),))
    assert made.at("spec.metrics") == [
        {
            "type": "Pods",
            "pods": {
                "metric": {"name": "slipway_sessions_open"},
                "target": {"type": "AverageValue", "averageValue": "200"},
            },
        }
    ]


def test_scaling_by_nothing_is_refused(autoscaler):
    with pytest.raises(ValueError, match="no metric to scale by: set cpu, memory or a pod metric"):
        autoscaler(cpu=None, memory=None)


def test_it_scales_up_at_once_and_down_after_a_while(autoscaler):
    made = autoscaler(scale_down_stabilization_seconds=600)
    assert made.at("spec.behavior.scaleUp.stabilizationWindowSeconds") == 0
    assert made.at("spec.behavior.scaleDown.stabilizationWindowSeconds") == 600


def test_it_takes_away_at_most_a_quarter_of_the_pods_a_minute(autoscaler):
    assert autoscaler().at("spec.behavior.scaleDown.policies") == [
        {"type": "Percent", "value": 25, "periodSeconds": 60}
    ]


def test_a_small_workload_grows_by_pods_and_a_large_one_by_its_half(autoscaler):
    rules = autoscaler().at("spec.behavior.scaleUp")
    assert rules["selectPolicy"] == "Max"
    assert {policy["type"]: policy["value"] for policy in rules["policies"]} == {"Percent": 50, "Pods": 4}

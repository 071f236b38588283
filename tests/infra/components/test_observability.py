"""What is scraped, what is alerted on and what is shown: each only for what the stack has."""

import json
import re

import pytest

from app.telemetry.metrics import Metrics
from infra.components.observability import Observability, ObservabilityArgs, ScrapeTarget, Watched
from infra.components.observability._component import dashboard_files
from infra.ports import Port

EVERYTHING = Watched(
    workloads=("war", "registry"),
    autoscalers=("war",),
    redis="redis",
    registry="registry",
    certificates=True,
    backups=True,
)
# What others export: kube-state-metrics, the kubelet, cert-manager, Prometheus itself.
OTHERS = re.compile(r"(kube_|kubelet_|container_|certmanager_)\w+|up")
# What the registry exports, which is a role of its own.
REGISTRY = {"slipway_registry_agents", "slipway_registry_heartbeats_total"}
FUNCTIONS = {"sum", "rate", "max", "increase", "time", "histogram_quantile", "by", "or", "and", "label_values"}


@pytest.fixture
def observed(run):
    return lambda **given: run(lambda: Observability("observability", ObservabilityArgs(namespace="shop", **given)))


def alerts(stack) -> dict[str, dict]:
    [group] = stack.one("PrometheusRule").at("spec.groups")
    return {rule["alert"]: rule for rule in group["rules"]}


def metrics_in(expression: str) -> set[str]:
    without_labels = re.sub(r"\{[^}]*\}|\[[^]]*\]|by \([^)]*\)", "", expression)
    return set(re.findall(r"[a-z][a-z_]{1,}", without_labels)) - FUNCTIONS


def exported() -> set[str]:
    """The names that the program really serves."""
    metrics = Metrics(version="1")
    metrics.expect(["tools/call"])
    metrics.answered("tools/call", 0, 0.1)
    metrics.refused("origin")
    return set(re.findall(r"^(\w+)[{ ]", metrics.render().decode(), re.MULTILINE))


def test_nothing_is_made_that_was_not_asked_for(observed):
    stack = observed(targets=(ScrapeTarget(name="war", selector={}),), watched=EVERYTHING)
    assert [resource.kind for resource in stack.registered] == ["Observability"]


def test_each_target_is_scraped_once_by_the_name_of_its_port(observed):
    target = ScrapeTarget(name="war", selector={"app.kubernetes.io/name": "war"}, port=Port(name="http", number=8081))
    stack = observed(targets=(target,), service_monitors=True, prometheus_labels={"release": "stack"})
    monitor = stack.one("ServiceMonitor")
    assert monitor.at("spec.selector.matchLabels") == {"app.kubernetes.io/name": "war"}
    endpoint = monitor.at("spec.endpoints.0")
    assert (endpoint["port"], endpoint["path"]) == ("http", "/metrics")
    assert endpoint["relabelings"] == [
        {"sourceLabels": ["__meta_kubernetes_service_name"], "regex": "war", "action": "keep"}
    ]
    assert monitor.at("metadata.labels.release") == "stack"


def test_there_is_an_alert_for_every_common_failure(observed):
    assert set(alerts(observed(rules=True, watched=EVERYTHING))) == {
        "SlipwayErrorRatioHigh",
        "SlipwayLatencyHigh",
        "SlipwayNoReadyReplicas",
        "SlipwayTargetDown",
        "SlipwayRestartLoop",
        "SlipwayAutoscalerAtMax",
        "SlipwayRedisDown",
        "SlipwayBackupFailed",
        "SlipwayCertificateExpiring",
        "SlipwayRegistryWithoutAgents",
    }


def test_no_alert_waits_for_what_the_stack_does_not_have(observed):
    assert set(alerts(observed(rules=True))) == {"SlipwayErrorRatioHigh", "SlipwayLatencyHigh", "SlipwayRestartLoop"}


def test_alerts_look_at_one_namespace_and_at_the_named_objects(observed):
    found = alerts(observed(rules=True, watched=EVERYTHING))
    for rule in found.values():
        selectors = re.findall(r"\{([^}]*)\}", rule["expr"])
        assert selectors
        assert all('namespace="shop"' in selector for selector in selectors), rule["alert"]
    assert 'deployment=~"war|registry"' in found["SlipwayNoReadyReplicas"]["expr"]
    assert 'horizontalpodautoscaler=~"war"' in found["SlipwayAutoscalerAtMax"]["expr"]
    assert 'statefulset=~"redis"' in found["SlipwayRedisDown"]["expr"]


def test_thresholds_are_the_ones_given(observed):
    found = alerts(observed(rules=True, watched=Watched(error_ratio=0.01, latency_seconds=1.0)))
    assert " > 0.01 and " in found["SlipwayErrorRatioHigh"]["expr"]
    assert found["SlipwayLatencyHigh"]["expr"].endswith(" > 1")


def test_every_alert_says_how_bad_it_is_and_leads_to_a_page_that_exists(observed, repository):
    stack = observed(rules=True, watched=EVERYTHING, runbooks="https://example.org/runbooks")
    pages = set()
    for rule in alerts(stack).values():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        base, page = rule["annotations"]["runbook_url"].rsplit("/", 1)
        assert base == "https://example.org/runbooks"
        pages.add(page)
        text = (repository / "docs" / "runbooks" / page).read_text("utf-8")
        assert rule["alert"] in text
    assert {path.name for path in (repository / "docs" / "runbooks").glob("*.md")} == pages


def test_alerts_ask_for_metrics_that_somebody_exports(observed):
    known = exported() | REGISTRY
    for rule in alerts(observed(rules=True, watched=EVERYTHING)).values():
        for name in metrics_in(rule["expr"]):
            assert name in known or OTHERS.fullmatch(name), f"{rule['alert']}: {name}"


def test_dashboards_are_config_maps_that_grafana_finds(observed):
    stack = observed(dashboards=True)
    assert stack.result.dashboards == ("slipway-mesh", "slipway-platform", "slipway-servers")
    for config_map in stack.all("ConfigMap"):
        assert config_map.at("metadata.labels.grafana_dashboard") == "1"
        [(file, text)] = config_map.at("data").items()
        assert json.loads(text)["uid"] == file.removesuffix(".json")


@pytest.mark.parametrize("path", dashboard_files(), ids=lambda path: path.stem)
def test_dashboards_ask_for_metrics_that_somebody_exports(path):
    board = json.loads(path.read_text("utf-8"))
    known = exported() | REGISTRY
    variables = {each["name"] for each in board["templating"]["list"]}
    identifiers = [panel["id"] for panel in board["panels"]]
    assert len(set(identifiers)) == len(identifiers)
    for panel in board["panels"]:
        for target in panel["targets"]:
            assert set(re.findall(r"\$(\w+)", target["expr"])) <= variables, panel["title"]
            for name in metrics_in(target["expr"]):
                assert name in known or OTHERS.fullmatch(name), f"{panel['title']}: {name}"

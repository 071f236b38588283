"""Releases on the API server: installed, changed, rolled back, tested and taken away by helm itself."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from engine.lifecycle import wait_for
from engine.plugins.kube.client import MERGE

pytestmark = pytest.mark.cluster

REDIS = {"redis": {"secret": "redis"}}
KINDS = (
    ("v1", "Service"),
    ("v1", "ConfigMap"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Pod"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "StatefulSet"),
    ("policy/v1", "PodDisruptionBudget"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("autoscaling/v2", "HorizontalPodAutoscaler"),
    ("monitoring.coreos.com/v1", "ServiceMonitor"),
)


@pytest.fixture
def there(cluster, namespace):
    """The names of a release's objects by kind, as the API server has them."""

    def look():
        found = {}
        for version, kind in KINDS:
            names = [each["metadata"]["name"] for each in cluster.select(version, kind, namespace)]
            named = sorted(name for name in names if name != "kube-root-ca.crt")
            if named:
                found[kind] = named
        return found

    return look


@pytest.fixture
def install(helm, namespace):
    def install(chart, release, values=None, verb="install"):
        return helm.succeed(verb, release, f"charts/{chart}", "--namespace", namespace, values=values or {})

    return install


def test_a_registry_comes_with_all_that_it_needs(install, there, cluster, namespace):
    said = install("slipway-registry", "registry", {**REDIS, "nodePort": 30987, "serviceMonitor": {"enabled": True}})
    assert f"kubectl -n {namespace} rollout status statefulset/registry" in said
    wait_for(lambda: len(there().get("Pod", ())) == 3, "three pods are admitted", there, seconds=120)
    found = there()
    assert found["PersistentVolumeClaim"] == ["data-registry-0", "data-registry-1", "data-registry-2"]
    assert found["Service"] == ["registry", "registry-headless", "registry-nodeport"]
    for kind in ("StatefulSet", "PodDisruptionBudget", "NetworkPolicy", "ServiceMonitor"):
        assert found[kind] == ["registry"], kind


def test_an_agent_comes_with_all_that_it_needs(install, there):
    said = install(
        "slipway-agent", "hello-world", {"autoscaling": {"enabled": True}, "serviceMonitor": {"enabled": True}}
    )
    assert "The agent hello-world offers greeting." in said
    wait_for(lambda: there().get("Pod"), "a pod is admitted", there, seconds=120)
    found = there()
    assert found["Service"] == ["hello-world", "hello-world-headless"]
    assert found["ConfigMap"] == ["hello-world-config"]
    for kind in ("Deployment", "PodDisruptionBudget", "NetworkPolicy", "ServiceMonitor", "HorizontalPodAutoscaler"):
        assert found[kind] == ["hello-world"], kind


@pytest.mark.parametrize(
    ("chart", "values"), [("slipway-agent", {"serviceMonitor": {"enabled": True}}), ("slipway-registry", REDIS)]
)
def test_a_release_that_is_taken_away_leaves_nothing(helm, install, there, namespace, chart, values):
    install(chart, "gone", values)
    wait_for(lambda: there().get("Pod"), "pods are admitted", there, seconds=120)
    helm.succeed("uninstall", "gone", "--namespace", namespace)
    wait_for(lambda: not there(), "nothing is left", there, seconds=120)


def test_a_changed_release_can_be_rolled_back(helm, install, cluster, namespace):
    def deployment():
        return cluster.get("apps/v1", "Deployment", namespace, "hello")["spec"]

    def told():
        return cluster.get("v1", "ConfigMap", namespace, "hello-config")["data"]["agent-config.yaml"]

    install("slipway-agent", "hello")
    before, told_before = deployment(), told()
    changed = {"replicas": 3, "capabilities": [{"name": "farewell"}], "autoscaling": {"enabled": True}}
    install("slipway-agent", "hello", changed, verb="upgrade")
    assert "farewell" in told()
    assert deployment()["template"] != before["template"], "the pods do not roll"
    assert cluster.get("autoscaling/v2", "HorizontalPodAutoscaler", namespace, "hello")
    helm.succeed("rollback", "hello", "1", "--namespace", namespace)
    assert (deployment(), told()) == (before, told_before)
    assert cluster.get("autoscaling/v2", "HorizontalPodAutoscaler", namespace, "hello") is None


def test_an_upgrade_with_the_same_values_changes_nothing(install, cluster, namespace):
    kinds = ("Deployment", "StatefulSet")

    def versions():
        found = (cluster.select("apps/v1", kind, namespace) for kind in kinds)
        return {each["metadata"]["name"]: each["metadata"]["generation"] for every in found for each in every}

    install("slipway-agent", "hello")
    install("slipway-registry", "registry", REDIS)
    before = versions()
    install("slipway-agent", "hello", verb="upgrade")
    install("slipway-registry", "registry", REDIS, verb="upgrade")
    assert set(before) == {"hello", "registry"}
    assert versions() == before


def test_capabilities_that_are_read_again_roll_no_pods(install, cluster, namespace):
    reload = {"onConfigChange": "reload"}
    install("slipway-agent", "hello", reload)
    before = cluster.get("apps/v1", "Deployment", namespace, "hello")["spec"]
    install("slipway-agent", "hello", {**reload, "healthInterval": 5}, verb="upgrade")
    told = cluster.get("v1", "ConfigMap", namespace, "hello-config")["data"]["agent-config.yaml"]
    assert "health_interval: 5" in told
    assert cluster.get("apps/v1", "Deployment", namespace, "hello")["spec"] == before


def test_both_charts_share_a_namespace_and_a_name_of_its_own_can_be_given(install, there):
    install("slipway-registry", "one", {**REDIS, "nameOverride": "registry"})
    install("slipway-agent", "two", {"nameOverride": "hello"})
    assert there()["Deployment"] == ["hello"]
    assert there()["StatefulSet"] == ["registry"]


@pytest.mark.parametrize(("chart", "values"), [("slipway-agent", {}), ("slipway-registry", REDIS)])
@pytest.mark.parametrize(("phase", "passed"), [("Succeeded", True), ("Failed", False)])
def test_helm_test_says_what_its_pod_found(helm, install, cluster, namespace, chart, values, phase, passed):
    """No pod runs here: its end is written by hand, after the API server admitted it."""
    install(chart, "asked", values)
    with ThreadPoolExecutor() as aside:
        said = aside.submit(helm.run, "test", "asked", "--namespace", namespace, "--timeout", "60s")
        wait_for(lambda: cluster.get("v1", "Pod", namespace, "asked-test"), "its pod is there", lambda: "", seconds=120)
        path = f"/api/v1/namespaces/{namespace}/pods/asked-test/status"
        cluster.request("PATCH", path, json={"status": {"phase": phase}}, kind=MERGE)
        done = said.result()
    assert (done.returncode == 0) == passed, done.stderr
    assert f"Phase:          {phase}" in done.stdout


def test_an_operator_brings_its_roles_and_a_definition_that_stays(helm, install, there, cluster, namespace):
    rbac = "rbac.authorization.k8s.io/v1"
    install("slipway-operator", "operator")
    wait_for(lambda: there().get("Pod"), "a pod is admitted", there, seconds=120)
    bound = cluster.get(rbac, "ClusterRoleBinding", None, f"{namespace}-operator")
    assert bound["subjects"] == [{"kind": "ServiceAccount", "name": "operator", "namespace": namespace}]
    assert cluster.get(rbac, "ClusterRole", None, bound["roleRef"]["name"])
    assert cluster.select("mesh.mcp.io/v1", "MCPAgent", namespace) == []
    helm.succeed("uninstall", "operator", "--namespace", namespace)
    wait_for(lambda: not there(), "nothing is left", there, seconds=120)
    assert cluster.get(rbac, "ClusterRole", None, f"{namespace}-operator") is None
    assert cluster.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, "mcpagents.mesh.mcp.io")

"""examples/gitops: what kustomize builds and what Argo CD is given are what the API server and the charts take."""

import json
import subprocess

import pytest
import yaml
from harness.build import Tool, build
from harness.places import REPOSITORY

pytestmark = pytest.mark.cluster

GITOPS = REPOSITORY / "examples/gitops"
HELM = ("--enable-helm", "--load-restrictor", "LoadRestrictionsNone")
NAMESPACES = {"staging": "mesh-staging", "production": "mesh"}


@pytest.fixture(params=sorted(NAMESPACES))
def environment(request, cluster):
    for name in NAMESPACES.values():
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, "slipway-tests")
    return request.param


@pytest.fixture
def given(kustomize, manifests_of):
    """What Argo CD is given, by kind and name."""
    found = manifests_of(kustomize("examples/gitops/argocd"))
    return {(each["kind"], each["metadata"]["name"]): each for each in found}


def test_an_environment_s_agents_are_taken_as_they_are(kustomize, manifests_of, cluster, agents_defined, environment):
    agents = manifests_of(kustomize(f"examples/gitops/agents/overlays/{environment}"))
    taken = [cluster.apply(agent, "kustomize") for agent in agents]
    assert {each["metadata"]["name"] for each in taken} == {"hello-world", "writer"}
    assert {each["metadata"]["namespace"] for each in taken} == {NAMESPACES[environment]}
    images = {each["spec"]["image"].removeprefix("registry.example.com/") for each in taken}
    if environment == "staging":
        assert images == {"slipway:main", "letters:main"}
    else:
        assert all("@sha256:" in image for image in images)
        assert all(each["spec"]["autoscaling"]["maxReplicas"] == 6 for each in taken)


def test_the_platform_s_charts_are_taken_together(kustomize, manifests_of, cluster):
    things = manifests_of(kustomize("examples/gitops/platform", *HELM))
    kinds = [each["kind"] for each in things]
    assert {"StatefulSet", "Deployment", "CustomResourceDefinition", "ClusterRole"} <= set(kinds)
    assert "Pod" not in kinds, "the charts' tests would run as pods"
    # Definitions and namespaces first, as kubectl and Argo CD apply them.
    first = ("Namespace", "CustomResourceDefinition")
    for thing in sorted(things, key=lambda each: each["kind"] not in first):
        cluster.apply(thing, "kustomize", force=True)
    claims = cluster.get("apps/v1", "StatefulSet", "mesh", "registry")["spec"]["volumeClaimTemplates"]
    assert claims[0]["spec"]["resources"]["requests"] == {"storage": "2Gi"}


def test_what_argo_cd_is_given_is_what_its_definitions_allow(given, cluster, defined):
    defined("argo-cd")
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "argocd"}}, "slipway-tests")
    for thing in given.values():
        taken = cluster.apply(thing, "kubectl")
        assert taken["spec"]
    assert {kind for kind, _ in given} == {"AppProject", "Application", "ApplicationSet"}


@pytest.mark.parametrize("name", ["registry", "operator"])
def test_an_application_s_values_are_what_its_chart_takes(given, helm, name):
    source = given["Application", f"mesh-{name}"]["spec"]["source"]
    assert (REPOSITORY / source["path"] / "Chart.yaml").exists()
    values = source["helm"]["valuesObject"]
    helm.render(source["path"].removeprefix("charts/"), source["helm"]["releaseName"], "mesh", values)


def test_an_application_set_s_paths_are_the_overlays(given, kustomize, manifests_of):
    made = given["ApplicationSet", "mesh-agents"]["spec"]
    template = made["template"]["spec"]
    for element in made["generators"][0]["list"]["elements"]:
        path = template["source"]["path"].replace("{{.environment}}", element["environment"])
        agents = manifests_of(kustomize(path))
        assert {each["metadata"]["namespace"] for each in agents} == {element["namespace"]}


def test_the_project_allows_where_and_what_its_applications_deploy(given, kustomize, manifests_of):
    project = given["AppProject", "mesh"]["spec"]
    allowed = {destination["namespace"] for destination in project["destinations"]}
    assert allowed == set(NAMESPACES.values())
    wide = {"Namespace", "CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"}
    assert {each["kind"] for each in project["clusterResourceWhitelist"]} == wide
    things = manifests_of(kustomize("examples/gitops/platform", *HELM))
    without = {each["kind"] for each in things if "namespace" not in each["metadata"]}
    assert without == wide


def condition(kind, status, message=""):
    return {"type": kind, "status": status, "reason": "Because", "message": message}


@pytest.fixture(scope="session")
def health():
    """What the script says of an agent, told by the Lua that Argo CD runs."""
    build(["lua"])
    program = Tool("lua").binary("glua")
    script = (GITOPS / "argocd/health.lua").read_text(encoding="utf-8")

    def say(status, generation=1):
        agent = {"metadata": {"generation": generation}, **({} if status is None else {"status": status})}
        asked = f"local told = (function()\n{script}\nend)()\nprint(told.status .. ': ' .. told.message)"
        text = f"obj = {lua(agent)}\n{asked}"
        done = subprocess.run([program, "-e", text], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return say


def lua(value):
    """A value as Lua writes it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"[{json.dumps(key)}] = {lua(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ", ".join(lua(item) for item in value) + "}"
    return json.dumps(value)


READY = condition("Available", "True", "Ready pods: 1 of 1.")
UNREADY = condition("Available", "False", "Ready pods: 0 of 1.")


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (None, "Progressing: The operator has not seen it yet."),
        (
            {"observedGeneration": 0, "conditions": [READY]},
            "Progressing: The operator has not seen its latest change yet.",
        ),
        ({"observedGeneration": 1, "conditions": [READY]}, "Healthy: Ready pods: 1 of 1."),
        (
            {"observedGeneration": 1, "conditions": [UNREADY, condition("Progressing", "True")]},
            "Progressing: Ready pods: 0 of 1.",
        ),
        (
            {"observedGeneration": 1, "conditions": [UNREADY, condition("Progressing", "False")]},
            "Degraded: Ready pods: 0 of 1.",
        ),
        (
            {
                "observedGeneration": 1,
                "conditions": [READY, condition("Registered", "False", "No pod is in the registry.")],
            },
            "Degraded: No pod is in the registry.",
        ),
        (
            {"observedGeneration": 1, "conditions": [READY, condition("Registered", "Unknown", "No registry.")]},
            "Healthy: Ready pods: 1 of 1.",
        ),
    ],
)
def test_an_agent_s_health_is_what_its_conditions_say(health, status, told):
    assert health(status) == told


def test_the_how_to_gives_the_health_script_as_it_is():
    page = (REPOSITORY / "docs/gitops.md").read_text(encoding="utf-8")
    [shown] = [text for text in page.split("```") if text.startswith("yaml\n# argocd-cm")]
    patch = yaml.safe_load(shown.removeprefix("yaml\n"))
    script = (GITOPS / "argocd/health.lua").read_text(encoding="utf-8")
    assert patch["data"]["resource.customizations.health.mesh.mcp.io_MCPAgent"] == script

"""A chart makes what the platform program makes: every object of a release, compared with the component's own.

`DIFFERENT` is all that may differ, and each line of it does.
"""

import functools
import json

import pytest
import yaml
from chart_cases import CASES
from chart_rendered import is_current, rendered

from app.operator.manifests import manifests
from app.operator.model import Agent, Around
from infra.components.observability import Observability, ObservabilityArgs, ScrapeTarget

ANY = "any"
# Where a release and a component differ on purpose: the kind, and the path in the object.
DIFFERENT = {
    (ANY, "metadata/labels/app.kubernetes.io~managed-by"): "who manages it",
    (ANY, "metadata/labels/app.kubernetes.io~instance"): "which release it is of",
    (ANY, "metadata/labels/app.kubernetes.io~version"): "which version of the program it is for",
    (ANY, "metadata/labels/helm.sh~chart"): "which chart it is of",
    (ANY, "spec/template/metadata/labels/app.kubernetes.io~managed-by"): "who manages it",
    ("ConfigMap", "metadata/name"): "Pulumi generates it, so that a change rolls the pods",
    ("Deployment", "spec/template/spec/volumes/0/configMap/name"): "Pulumi generates it",
    ("Deployment", "spec/template/metadata/annotations/slipway.dev~file-checksum"): "by this a change rolls the pods",
    ("StatefulSet", "spec/template/spec/serviceAccountName"): "a service mesh knows the registry by it",
    ("StatefulSet", "spec/template/spec/containers/0/env/MCP_AUTH_TOKENS"): "Pulumi's component has no argument for it",
    ("ClusterRole", "metadata/name"): "Pulumi generates it",
    ("ClusterRoleBinding", "metadata/name"): "Pulumi generates it",
    ("ClusterRoleBinding", "roleRef/name"): "Pulumi generates it",
    ("Role", "metadata/name"): "Pulumi generates it",
    ("RoleBinding", "metadata/name"): "Pulumi generates it",
    ("RoleBinding", "roleRef/name"): "Pulumi generates it",
}
# Kinds that are other components' business in the platform program, and are compared with those below.
BESIDE = {"NetworkPolicy", "ServiceMonitor", "Pod"}


def by_name(things):
    """Objects by kind, and Services by name too: those of generated names are one of their kind."""
    return {(each["kind"], each["metadata"]["name"] if each["kind"] == "Service" else ""): each for each in things}


def of_release(case):
    return by_name(each for each in rendered(case) if each["kind"] not in BESIDE)


@pytest.fixture(scope="session")
def of_component(run):
    """The objects of a case's component, made once for all tests."""

    @functools.cache
    def make(case):
        made = run(CASES[case].component)
        inputs = [
            {**found.inputs, "metadata": {**found.inputs["metadata"], "name": found.object_name}}
            for found in made.registered
            if found.custom
        ]
        return by_name(inputs)

    return make


def readable(thing):
    """An object whose texts and named lists are compared by what they say: files as YAML, variables by name."""
    if thing["kind"] == "ConfigMap":
        return {**thing, "data": {name: yaml.safe_load(text) for name, text in thing["data"].items()}}
    template = thing.get("spec", {}).get("template")
    if template is None:
        return thing
    containers = [
        {**each, "env": {variable["name"]: variable for variable in each["env"]}}
        for each in template["spec"]["containers"]
    ]
    pod = {**template["spec"], "containers": containers}
    return {**thing, "spec": {**thing["spec"], "template": {**template, "spec": pod}}}


def differences(one, other, path=""):
    """Every path at which two values differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            name = key.replace("/", "~")
            yield from differences(one.get(key), other.get(key), f"{path}/{name}" if path else name)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            yield from differences(mine, theirs, f"{path}/{index}")
    elif one != other:
        yield path


def found_differences(mine, theirs):
    return {
        (kind, path)
        for kind, name in mine.keys() & theirs.keys()
        for path in differences(readable(mine[kind, name]), readable(theirs[kind, name]))
    }


@pytest.mark.parametrize("case", CASES)
def test_a_release_is_rendered_from_the_chart_as_it_is(case):
    assert is_current(case), "a chart has changed since it was rendered: run make golden"


@pytest.mark.parametrize("case", CASES)
def test_a_release_has_the_objects_of_its_component(case, of_component):
    mine, theirs = set(of_release(case)), set(of_component(case))
    # The platform program gives the registry no account of its own.
    more = {("ServiceAccount", "")} if CASES[case].chart == "slipway-registry" else set()
    assert mine == theirs | more


@pytest.mark.parametrize("case", CASES)
def test_each_object_is_the_component_s_but_for_what_may_differ(case, of_component):
    found = found_differences(of_release(case), of_component(case))
    assert {(kind, path) for kind, path in found if not {(kind, path), (ANY, path)} & {*DIFFERENT}} == set()


def test_all_that_may_differ_does(of_component):
    found = set().union(*(found_differences(of_release(case), of_component(case)) for case in CASES))
    used = {key for key in DIFFERENT if key in found or (key[0] == ANY and key[1] in {path for _, path in found})}
    assert set(DIFFERENT) - used == set()


def one(case, kind):
    [found] = [each for each in rendered(case) if each["kind"] == kind]
    return found


@pytest.mark.parametrize("case", ["agent-everything", "registry-everything", "operator-everything"])
def test_a_monitor_scrapes_as_the_platform_s_do(case, run):
    given = CASES[case]
    selector = {
        "app.kubernetes.io/name": given.release,
        "app.kubernetes.io/component": given.chart.removeprefix("slipway-"),
    }
    target = ScrapeTarget(name=given.release, selector=selector)
    arguments = ObservabilityArgs(namespace="mesh", targets=(target,), service_monitors=True)
    platform = run(lambda: Observability("observability", arguments)).one("ServiceMonitor")
    assert one(case, "ServiceMonitor")["metadata"]["name"] == platform.object_name
    assert one(case, "ServiceMonitor")["spec"] == platform.inputs["spec"]


def opened(policy, direction):
    """Every peer with its port that a policy opens; None for anybody, and for any port."""
    peers = {"ingress": "from", "egress": "to"}[direction]
    return {
        (json.dumps(peer, sort_keys=True), port["port"], port["protocol"])
        for rule in policy["spec"].get(direction, ())
        for peer in rule.get(peers) or [None]
        for port in rule.get("ports") or [{"port": None, "protocol": None}]
    }


def labelled(namespace=None, **labels):
    """A peer as `opened` has it."""
    found = {}
    if labels:
        marks = {f"app.kubernetes.io/{name.replace('_', '-')}": value for name, value in labels.items()}
        found["podSelector"] = {"matchLabels": marks}
    if namespace:
        found["namespaceSelector"] = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    return json.dumps(found, sort_keys=True)


@pytest.mark.parametrize("case", ["agent-least", "agent-everything"])
def test_an_agent_s_policy_is_the_operator_s_and_lets_its_test_in(case):
    values = CASES[case].values
    spec = {
        "capabilities": [{"name": "greeting"}],
        "port": values.get("port", 8080),
        "dependencies": values.get("dependencies", []),
        "internetAccess": values.get("networkPolicy", {}).get("internetAccess", False),
    }
    body = {"metadata": {"name": "hello", "namespace": "mesh", "uid": "u1", "generation": 1}, "spec": spec}
    around = Around(image="slipway", registry_url=values["registry"]["url"], registry_namespace="mesh")
    [theirs] = [each for each in manifests(Agent.read(body), around) if each["kind"] == "NetworkPolicy"]
    mine = one(case, "NetworkPolicy")
    assert mine["spec"]["podSelector"] == theirs["spec"]["podSelector"]
    assert mine["spec"]["policyTypes"] == theirs["spec"]["policyTypes"]
    assert opened(mine, "egress") == opened(theirs, "egress")
    test = (labelled(name="hello", component="test"), spec["port"], "TCP")
    assert opened(mine, "ingress") == opened(theirs, "ingress") | {test}


def test_a_registry_s_policy_lets_in_who_asks_it_and_out_to_what_it_keeps():
    policy = one("registry-three", "NetworkPolicy")
    asking = {labelled(component=each, part_of="slipway") for each in ("agent", "operator", "registry")}
    asking |= {labelled("monitoring"), labelled(name="registry", component="test")}
    assert opened(policy, "ingress") == {(peer, 8000, "TCP") for peer in asking}
    beyond_names = {each for each in opened(policy, "egress") if each[1] != 53}
    assert beyond_names == {
        ("null", 6379, "TCP"),
        ("null", 26379, "TCP"),
        (labelled(name="registry", component="registry"), 8000, "TCP"),
    }


def test_an_operator_s_policy_opens_the_api_and_the_registry():
    policy = one("operator-everything", "NetworkPolicy")
    server = json.dumps({"ipBlock": {"cidr": "10.0.0.1/32"}})
    assert {each for each in opened(policy, "egress") if each[1] != 53} == {
        (server, 443, "TCP"),
        (server, 6443, "TCP"),
        (labelled("mesh", name="registry", component="registry"), 8000, "TCP"),
    }
    assert opened(policy, "ingress") == {
        (labelled("metrics"), 9000, "TCP"),
        (labelled(name="operator", component="test"), 9000, "TCP"),
    }

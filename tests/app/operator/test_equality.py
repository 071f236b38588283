"""An agent is the same whoever makes it: the platform program, or the operator from an `MCPAgent`.

Different on purpose are only the label that says who manages an object, owner references, the generated name of the
ConfigMap, and the labels by which a ServiceMonitor is grouped with the platform's others.
"""

import importlib.util
import json
from pathlib import Path

import pytest

from app.operator.manifests import manifests
from app.operator.model import Agent, Around
from infra.components.autoscaling import Scaling
from infra.components.mesh import Agent as PlatformAgent
from infra.components.mesh import AgentArgs, Capability
from infra.components.network import Network, NetworkArgs
from infra.components.observability import Observability, ObservabilityArgs, ScrapeTarget
from infra.pods import Resources, SecretKey
from infra.ports import AGENT, Port

REGISTRY_URL = "http://registry.mesh.svc.cluster.local"
IMAGE = "slipway@sha256:1"
AROUND = Around(
    image=IMAGE, registry_url=REGISTRY_URL, registry_namespace="mesh", environment={"MCP_LOG_LEVEL": "info"}
)
GREETING = {"name": "greeting"}

# What an MCPAgent says, and the same as the platform's arguments.
SPECS = {
    "the least": ({"capabilities": [GREETING]}, {"capabilities": (Capability(name="greeting"),)}),
    "everything": (
        {
            "image": "example@sha256:2",
            "port": 9000,
            "replicas": 4,
            "capabilities": [{"name": "sum", "version": "2.1.0", "timeout": 5, "tags": ["maths", "fast"]}, GREETING],
            "dependencies": ["weather"],
            "healthInterval": 10,
            "retryAttempts": 0,
            "environment": [
                {"name": "ZONE", "value": "a"},
                {"name": "API_KEY", "secret": {"name": "keys", "key": "api"}},
                {"name": "ANOTHER", "secret": {"name": "keys", "key": "other"}},
            ],
            "resources": {"requests": {"cpu": "50m"}, "limits": {"memory": "1Gi"}},
            "serviceMonitor": True,
            "internetAccess": True,
        },
        {
            "image": "example@sha256:2",
            "port": Port(name="http", number=9000),
            "replicas": 4,
            "capabilities": (
                Capability(name="sum", version="2.1.0", timeout=5, tags=("maths", "fast")),
                Capability(name="greeting"),
            ),
            "dependencies": ("weather",),
            "health_interval": 10,
            "retry_attempts": 0,
            "environment": {"ZONE": "a"},
            "secret_environment": {
                "API_KEY": SecretKey(secret="keys", key="api"),
                "ANOTHER": SecretKey(secret="keys", key="other"),
            },
            "resources": Resources(cpu_request="50m", memory_limit="1Gi"),
        },
    ),
    "scaled by load": (
        {"capabilities": [GREETING], "replicas": 7, "autoscaling": {"minReplicas": 3, "maxReplicas": 9, "cpu": 50}},
        {
            "capabilities": (Capability(name="greeting"),),
            "replicas": 7,
            "scaling": Scaling(min_replicas=3, max_replicas=9, cpu=50),
        },
    ),
    "scaled to nothing": ({"capabilities": [], "replicas": 0}, {"replicas": 0}),
    "a level of log of its own": (
        {"capabilities": [GREETING], "environment": [{"name": "MCP_LOG_LEVEL", "value": "debug"}]},
        {"capabilities": (Capability(name="greeting"),), "environment": {"MCP_LOG_LEVEL": "debug"}},
    ),
}
ALIKE = (
    "Deployment",
    "Service",
    "ServiceAccount",
    "ConfigMap",
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
)


@pytest.fixture(scope="module")
def run():
    """The recording harness of the platform's own tests."""
    path = Path(__file__).parents[2] / "infra" / "conftest.py"
    spec = importlib.util.spec_from_file_location("platform_harness", path)
    harness = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(harness)
    return harness.run_program


def operated(spec):
    body = {"metadata": {"name": "hello", "namespace": "mesh", "uid": "u1", "generation": 1}, "spec": spec}
    return manifests(Agent.read(body), AROUND)


def as_the_platform(run, given):
    arguments = {"namespace": "mesh", "image": IMAGE, "registry_url": REGISTRY_URL, **given}
    arguments["environment"] = {"MCP_LOG_LEVEL": "info", **arguments.get("environment", {})}
    return run(lambda: PlatformAgent("hello", AgentArgs(**arguments)))


def comparable(thing):
    """An object without what differs on purpose."""
    metadata = dict(thing["metadata"])
    metadata.pop("ownerReferences", None)
    labels = {key: value for key, value in metadata["labels"].items() if key != "app.kubernetes.io/managed-by"}
    rest = {key: value for key, value in thing.items() if key not in ("metadata", "kind", "apiVersion")}
    if thing["kind"] == "ConfigMap":
        metadata.pop("name", None)
    if thing["kind"] == "Deployment":
        template = thing["spec"]["template"]
        pod = {
            **template["spec"],
            "volumes": [without_its_name(volume) for volume in template["spec"]["volumes"]],
            "containers": [without_what_is_nothing(each) for each in template["spec"]["containers"]],
        }
        marks = template["metadata"]["labels"] | {"app.kubernetes.io/managed-by": "whoever"}
        rest["spec"] = {
            **thing["spec"],
            "template": {"metadata": {**template["metadata"], "labels": marks}, "spec": pod},
        }
    return {"kind": thing["kind"], "metadata": {**metadata, "labels": labels}, **rest}


def without_its_name(volume):
    if "configMap" not in volume:
        return volume
    return {**volume, "configMap": {**volume["configMap"], "name": "generated"}}


def without_what_is_nothing(container):
    """The API server keeps neither an empty value nor a delay of no seconds, and adds the version of a field."""
    probes = {
        probe: {key: value for key, value in container[probe].items() if (key, value) != ("initialDelaySeconds", 0)}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    env = [{key: value for key, value in each.items() if value != ""} for each in container["env"]]
    for each in env:
        if "fieldRef" in each.get("valueFrom", {}):
            each["valueFrom"] = {"fieldRef": {"apiVersion": "v1", **each["valueFrom"]["fieldRef"]}}
    return {**container, **probes, "env": env}


def of_kind(things, kind):
    found = [comparable(thing) for thing in things if thing["kind"] == kind]
    return sorted(found, key=lambda thing: thing["metadata"].get("name", ""))


@pytest.mark.parametrize("kind", ALIKE)
@pytest.mark.parametrize("case", SPECS)
def test_the_operator_makes_what_the_platform_makes(case, kind, run):
    spec, given = SPECS[case]
    platform = [resource.inputs for resource in as_the_platform(run, given).all(kind)]
    assert of_kind(operated(spec), kind) == of_kind(platform, kind)


def test_the_pods_mount_the_map_that_is_made_for_them():
    made = {thing["kind"]: thing for thing in operated(SPECS["everything"][0])}
    volumes = made["Deployment"]["spec"]["template"]["spec"]["volumes"]
    assert volumes[0]["configMap"]["name"] == made["ConfigMap"]["metadata"]["name"]


def test_a_monitor_scrapes_as_the_platform_s_do(run):
    target = ScrapeTarget(
        name="hello",
        selector={"app.kubernetes.io/name": "hello", "app.kubernetes.io/component": "agent"},
        port=AGENT,
    )
    arguments = ObservabilityArgs(namespace="mesh", targets=(target,), service_monitors=True)
    platform = run(lambda: Observability("observability", arguments)).one("ServiceMonitor")
    made = next(thing for thing in operated(SPECS["everything"][0]) if thing["kind"] == "ServiceMonitor")
    assert made["metadata"]["name"] == platform.object_name
    assert made["spec"] == platform.inputs["spec"]


def allowed(policies, direction):
    """Every peer with its ports that the policies open for the pods of `hello`."""
    peers = {"ingress": "from", "egress": "to"}[direction]
    return {
        (json.dumps(peer, sort_keys=True), port["port"], port["protocol"])
        for policy in policies
        for rule in policy["spec"].get(direction, ())
        for peer in rule.get(peers) or [{}]
        for port in rule.get("ports", ())
    }


def test_the_operator_opens_what_the_platform_opens(run):
    """Names, the registry, Prometheus and the internet are the platform's edges; calls among agents go by label."""
    from infra import edge_catalogue as usual
    from infra.edges import Pods

    agent = Pods(name="hello", selector={"app.kubernetes.io/name": "hello", "app.kubernetes.io/component": "agent"})
    registry = Pods(
        name="registry", selector={"app.kubernetes.io/name": "registry", "app.kubernetes.io/component": "registry"}
    )
    edges = (
        *usual.dns(agent),
        usual.registry(agent, registry),
        usual.https_egress(agent),
        usual.prometheus(agent, Port(name="http", number=9000), namespace="monitoring"),
    )
    platform = run(lambda: Network("network", NetworkArgs(namespace="mesh", edges=edges))).all("NetworkPolicy")
    mine = [
        resource.inputs
        for resource in platform
        if resource.has("spec.podSelector.matchLabels")
        and resource.at("spec.podSelector.matchLabels") == agent.selector
    ]
    own = [thing for thing in operated(SPECS["everything"][0]) if thing["kind"] == "NetworkPolicy"]
    own[0]["spec"]["ingress"] = [rule for rule in own[0]["spec"]["ingress"] if "podSelector" not in rule["from"][0]]
    for rule in own[0]["spec"]["egress"]:
        for peer in rule["to"]:
            # The registry is in the agent's own namespace, as the platform's is.
            if peer.get("podSelector", {}).get("matchLabels") == registry.selector:
                assert peer.pop("namespaceSelector") == {"matchLabels": {"kubernetes.io/metadata.name": "mesh"}}
    assert allowed(own, "ingress") == allowed(mine, "ingress")
    assert allowed(own, "egress") == allowed(mine, "egress")

"""examples/routing, and what the platform makes for routes: the own definitions of Gateway API and Istio take it."""

import json
import os
import re
import subprocess
import sys

import pytest
import yaml
from engine.plugins.kube.client import ApiError
from harness.build import build
from harness.places import REPOSITORY

pytestmark = pytest.mark.cluster

ROUTING = REPOSITORY / "examples/routing"
# What a definition's own rules are known by: the folder of an example says whose kinds are in it.
PROJECTS = {"gateway-api": sorted(ROUTING.glob("*.yaml")), "istio": sorted(ROUTING.glob("istio/*.yaml"))}
EXAMPLES = [(project, file.relative_to(ROUTING).as_posix()) for project, files in PROJECTS.items() for file in files]


def documents(name):
    found = list(yaml.safe_load_all((ROUTING / name).read_text(encoding="utf-8")))
    # Beside manifests there are values of a chart.
    return [each for each in found if "kind" in each]


def placed(thing, namespace):
    return {**thing, "metadata": {**thing["metadata"], "namespace": namespace}}


@pytest.mark.parametrize(("project", "name"), EXAMPLES)
def test_an_example_is_what_its_definition_allows(project, name, cluster, namespace, defined):
    defined(project)
    for thing in documents(name):
        assert cluster.apply(placed(thing, namespace), "kubectl")["spec"]


@pytest.mark.parametrize(
    ("name", "path", "wrong"),
    [
        ("canary.yaml", ("rules", 0, "backendRefs", 1, "weight"), -1),
        ("canary.yaml", ("rules", 0, "backendRefs", 1, "wieght"), 10),
        ("gateway.yaml", ("listeners", 0, "protocol"), ""),
        ("istio/canary.yaml", ("http", 0, "route", 1, "weight"), "ten"),
    ],
)
def test_the_definitions_refuse_what_is_wrong(name, path, wrong, cluster, namespace, defined):
    defined("istio" if name.startswith("istio") else "gateway-api")
    thing = documents(name)[0]
    place = thing["spec"]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = wrong
    with pytest.raises(ApiError):
        cluster.apply(placed(thing, namespace), "kubectl")


def test_every_service_that_a_route_names_is_one_of_a_release(helm, cluster, namespace, defined):
    """The two releases of the page, installed with the values that it gives."""
    defined("gateway-api")
    defined("istio")
    install = ("--namespace", namespace, "--values", "examples/routing/routed.yaml")
    helm.succeed("install", "hello-world", "charts/slipway-agent", *install)
    helm.succeed(
        "install", "hello-world-next", "charts/slipway-agent", *install, "--values", "examples/routing/next.yaml"
    )
    services = {each["metadata"]["name"]: each["spec"]["ports"] for each in cluster.select("v1", "Service", namespace)}
    named = []
    for _, name in EXAMPLES:
        text = (ROUTING / name).read_text(encoding="utf-8")
        named += re.findall(r"\{ name: ([\w-]+), port: (\d+)", text)
        named += re.findall(r"host: ([\w-]+), port: \{ number: (\d+)", text)
    assert len(named) >= 10
    for service, port in named:
        assert [each["port"] for each in services[service]] == [int(port)]
    # The second one is in no mesh.
    pod = cluster.get("apps/v1", "Deployment", namespace, "hello-world-next")["spec"]["template"]["spec"]
    assert "MCP_MESH_REGISTRY_URL" not in {variable["name"] for variable in pod["containers"][0]["env"]}


@pytest.mark.parametrize("kind", ["VirtualService", "DestinationRule", "PeerAuthentication"])
def test_what_the_platform_makes_for_istio_is_what_its_definitions_allow(kind, platform, cluster, namespace, defined):
    from infra.components.service_mesh import ServiceMesh, ServiceMeshArgs

    defined("istio")
    arguments = ServiceMeshArgs(
        namespace=namespace, kind="istio", services=("hello-world",), capabilities={"greeting": "hello-world"}
    )
    made = platform.run_program(lambda: ServiceMesh("mesh", arguments)).all(kind)
    assert made
    for resource in made:
        cluster.apply(resource.inputs, "pulumi")


def test_what_the_platform_makes_for_gateway_api_is_what_its_definitions_allow(platform, cluster, namespace, defined):
    defined("gateway-api")
    stack = yaml.safe_load((REPOSITORY / "examples/map-server.yaml").read_text(encoding="utf-8"))["config"]
    values = {key.removeprefix("slipway:"): value for key, value in stack.items() if key.startswith("slipway:")}
    gateway = {"name": "public", "namespace": "gateways"}
    values["exposure"] = {"profile": "gatewayApi", "host": values["exposure"]["host"], "gateway": gateway}
    values["tls"] = {"mode": "existing", "secretName": "public-tls"}
    kinds = ("HTTPRoute", "ReferenceGrant")
    made = [resource for kind in kinds for resource in platform.evaluate_values(values).all(kind)]
    assert {resource.kind for resource in made} == set(kinds)
    for resource in made:
        cluster.apply(placed(resource.inputs, namespace), "pulumi")


def test_calls_go_where_the_weights_and_the_header_say():
    """Traefik carries out the routes of the page, from an API server; two agents answer."""
    build(["gateway-api", "traefik"])
    alone = ["unshare", "--net", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody have a network of their own: run it as root")
    program = REPOSITORY / "tests/cluster/usage/split.py"
    done = subprocess.run([*alone, sys.executable, program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert set(told["canary"]) == {"now", "next"}
    assert sum(told["canary"].values()) == 200
    assert 10 <= told["canary"]["next"] <= 30
    assert told["blue"] == {"now": 200}
    assert told["preview"] == {"next": 20}
    assert told["green"] == {"next": 200}

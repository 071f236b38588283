"""The charts with pods: a registry that shares through Redis, an agent, and the operator, as helm installs them."""

import json
import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from engine.lifecycle import everything, wait_for
from harness.build import Tool, build
from harness.places import REPOSITORY
from usage.turns import AGENTS
from usage.ways import Way

pytestmark = pytest.mark.cluster

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
LETTER = {"to": "Ada", "body": "The engine works."}
SMALL = {"requests": {"cpu": "20m", "memory": "64Mi"}}
DEFINITION = "mcpagents.mesh.mcp.io"
# Both capabilities are in the image; the first alone is offered until its values say more.
AGENT = {
    "modules": ["app.mesh.samples.greeting", "letters"],
    "capabilities": [{"name": "greeting"}],
    "healthInterval": 5,
    "onConfigChange": "reload",
}
# What the cluster makes of the definition, and of the Service of Redis, which are still there.
DERIVED = {"APIService", "IPAddress"}
# The kubelet looks at mounted ConfigMaps once a minute or so.
RELOAD_SECONDS = 240


@pytest.fixture(scope="module")
def before(cluster, running, turns) -> Iterator[set[tuple[str, str, str]]]:
    """What there is without the charts; no stack brings the definition that one of them brings."""
    running.none()
    with turns.taken(AGENTS):
        yield everything(cluster)


@pytest.fixture(scope="module")
def space(cluster, before) -> Iterator[str]:
    """A namespace that admits restricted pods only."""
    name = f"charts-{uuid.uuid4().hex[:6]}"
    level = {"pod-security.kubernetes.io/enforce": "restricted"}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": level}}
    cluster.apply(made, "slipway-tests")
    yield name
    cluster.delete(made, "Foreground")


@pytest.fixture(scope="module")
def helm(kubeconfig: Path, space: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    build(["helm"])
    folder = tmp_path_factory.mktemp("helm")
    homes = {f"HELM_{name}_HOME": str(folder / name.lower()) for name in ("CONFIG", "CACHE", "DATA")}
    environment = {**os.environ, **homes, "KUBECONFIG": str(kubeconfig)}

    def run(*arguments: str, values: dict[str, Any] | None = None) -> str:
        given = [*arguments, "--namespace", space]
        if values is not None:
            file = folder / f"{uuid.uuid4().hex[:8]}.yaml"
            file.write_text(yaml.safe_dump(values), encoding="utf-8")
            given += ["--values", str(file)]
        command = [Tool("helm").binary("helm"), *given]
        done = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=400)
        assert done.returncode == 0, f"helm {' '.join(arguments)}: {done.stderr.strip()}\n{done.stdout}"
        return done.stdout

    return run


@pytest.fixture(scope="module")
def deploy(helm, images) -> Iterator[Callable[..., None]]:
    """Installs or upgrades a release and waits for its pods; it goes with the tests, if it is still there."""
    made: list[str] = []

    def deploy(chart: str, release: str, image: str, **values: Any) -> None:
        repository, _, digest = images[image].partition("@")
        own = {"image": {"repository": repository, "digest": digest}, "resources": SMALL, **values}
        verb = "upgrade" if release in made else "install"
        made.append(release)
        helm(verb, release, f"charts/{chart}", "--wait", "--timeout", "5m", values=own)

    yield deploy
    for release in reversed(dict.fromkeys(made)):
        helm("uninstall", release, "--ignore-not-found", "--wait")


@pytest.fixture(scope="module")
def redis(cluster, space, images) -> Iterator[dict[str, str]]:
    """A Redis with a password, and the Secret by which a registry finds it."""
    labels = {"app": "redis"}
    arguments = ["--requirepass", "of-the-tests", "--save", "", "--dir", "/tmp"]
    secure = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "redis",
        "image": images["redis"],
        "command": ["redis-server", *arguments],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        "securityContext": secure,
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    pod = {
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    service = {"selector": labels, "ports": [{"port": 6379}]}
    address = {"url": "redis://:of-the-tests@redis:6379/0"}
    things = [
        {"kind": "Secret", "metadata": {"name": "redis"}, "stringData": address},
        {"kind": "Service", "metadata": {"name": "redis"}, "spec": service},
        {"kind": "Pod", "metadata": {"name": "redis", "labels": labels}, "spec": pod},
    ]
    placed = [{**one, "apiVersion": "v1", "metadata": {**one["metadata"], "namespace": space}} for one in things]
    for thing in placed:
        cluster.apply(thing, "slipway-tests")
    yield {"secret": "redis"}
    for thing in placed:
        cluster.delete(thing, "Background")


@pytest.fixture(scope="module")
def registry(deploy, redis) -> Callable[..., None]:
    """A registry of two replicas, there; call it to upgrade it."""

    def registry(**values: Any) -> None:
        deploy("slipway-registry", "registry", "app", replicas=2, redis=redis, drainSeconds=3, **values)

    registry()
    return registry


@pytest.fixture(scope="module")
def agent(deploy, registry) -> Callable[..., None]:
    """An agent that greets, there; call it to upgrade it."""

    def agent(**values: Any) -> None:
        deploy("slipway-agent", "hello-world", "writer", **{**AGENT, **values})

    agent()
    return agent


@pytest.fixture(scope="module")
def found(kubeconfig, space, registry) -> Iterator[Callable[[str], dict[str, str]]]:
    """Who, as the registry says, has a capability: the name of each agent by its id."""
    way = Way(kubeconfig, space, "registry")

    def ask(capability: str) -> dict[str, str]:
        try:
            answer = httpx.get(f"{way.url()}/discover", params={"capability": capability}, timeout=20, trust_env=False)
        except (httpx.TransportError, ConnectionError):
            return {}
        return {one["id"]: one["name"] for one in answer.raise_for_status().json()["agents"]}

    yield ask
    way.close()


@pytest.fixture
def pods(cluster, space) -> Callable[[str, str], dict[str, dict]]:
    """The pods of a release that serve, by what makes each another than its successor."""

    def look(release: str, component: str) -> dict[str, dict]:
        labels = f"app.kubernetes.io/name={release},app.kubernetes.io/component={component}"
        return {pod["metadata"]["uid"]: pod for pod in cluster.select("v1", "Pod", space, labels)}

    return look


def called(way: Way, tool: str, arguments: dict[str, str]) -> str:
    """What an agent answers, whole; nothing while it cannot be reached."""
    try:
        call = {**CALL, "params": {"name": tool, "arguments": arguments}}
        answer = httpx.post(f"{way.url()}/messages", json=call, timeout=60, trust_env=False)
    except (httpx.TransportError, ConnectionError):
        return ""
    return json.dumps(answer.json())


def test_an_agent_is_found_by_its_capability(agent, found):
    wait_for(lambda: found("greeting"), "the agent", lambda: "")
    assert set(found("greeting").values()) == {"hello-world"}
    assert found("write_letter") == {}


@pytest.mark.parametrize("release", ["registry", "hello-world"])
def test_helm_test_passes_in_a_pod_of_its_own(helm, agent, release):
    assert "Phase:          Succeeded" in helm("test", release, "--logs", "--timeout", "3m")


@pytest.fixture(scope="module")
def definition(cluster, before) -> Iterator[None]:
    """Helm leaves the definition of agents behind: where these tests brought it, it goes with them."""
    yield
    if ("CustomResourceDefinition", "", DEFINITION) not in before:
        version, kind = "apiextensions.k8s.io/v1", "CustomResourceDefinition"
        cluster.delete({"apiVersion": version, "kind": kind, "metadata": {"name": DEFINITION}}, "Background")
        wait_for(lambda: cluster.get(version, kind, None, DEFINITION) is None, "its end", lambda: "")


@pytest.fixture(scope="module")
def writer(cluster, deploy, agent, definition, images, space, kubeconfig) -> Iterator[Way]:
    """An MCPAgent, which the operator of the chart makes, with the definition of the chart."""
    deploy("slipway-operator", "operator", "app", agents={"namespaces": [space]})
    thing = {
        "apiVersion": "mesh.mcp.io/v1",
        "kind": "MCPAgent",
        "metadata": {"name": "writer", "namespace": space},
        "spec": {
            "capabilities": [{"name": "write_letter", "timeout": 20}],
            "dependencies": ["greeting@^1"],
            "image": images["writer"],
            "environment": [{"name": "MCP_AGENT_MODULES", "value": "letters"}],
            "resources": SMALL,
        },
    }
    cluster.apply(thing, "somebody")
    way = Way(kubeconfig, space, "writer")
    yield way
    way.close()
    cluster.delete(thing, "Foreground")
    wait_for(lambda: not cluster.get("mesh.mcp.io/v1", "MCPAgent", space, "writer"), "its end", lambda: "")


def test_an_agent_of_the_operator_calls_the_agent_of_a_release(writer, found):
    wait_for(lambda: found("write_letter"), "the agent that was declared", lambda: "")
    assert set(found("write_letter").values()) == {"writer"}

    def letter() -> str:
        return called(writer, "write_letter", LETTER)

    wait_for(lambda: "Hello, Ada! This is hello-world-" in letter(), "a letter", letter, seconds=90)


def test_a_new_capability_is_offered_and_registered_by_the_pods_that_run(agent, found, pods, space, kubeconfig):
    wait_for(lambda: found("greeting"), "the agent", lambda: "")
    before, ids = set(pods("hello-world", "agent")), set(found("greeting"))
    agent(capabilities=[{"name": "greeting"}, {"name": "write_letter"}])
    wait_for(lambda: "hello-world" in found("write_letter").values(), "it", lambda: "", seconds=RELOAD_SECONDS)
    way = Way(kubeconfig, space, "hello-world")
    try:
        wait_for(lambda: "The engine works." in called(way, "write_letter", LETTER), "a letter", lambda: "", seconds=60)
    finally:
        way.close()
    after = pods("hello-world", "agent")
    assert set(after) == before
    assert {pod["status"]["containerStatuses"][0]["restartCount"] for pod in after.values()} == {0}
    assert set(found("greeting")) == ids, "it was registered anew"


def test_agents_need_not_register_again_with_a_registry_that_was_upgraded(registry, agent, found, pods):
    wait_for(lambda: found("greeting"), "the agent", lambda: "")
    before, ids = set(pods("registry", "registry")), set(found("greeting"))
    registry(podAnnotations={"example.com/rolled": "yes"})
    assert not before & set(pods("registry", "registry"))
    wait_for(lambda: set(found("greeting")) == ids, "the same agents", lambda: found("greeting"), seconds=60)


def test_releases_that_are_taken_away_leave_nothing(helm, agent, writer, cluster, kubectl, space, before):
    """The last of these tests, for it takes away what the others use."""
    kubectl("-n", space, "delete", "mcpagents", "--all")
    for release in ("hello-world", "operator", "registry"):
        helm("uninstall", release, "--wait", "--timeout", "3m")
    # Who asked for a test's log may read it as long as they like.
    kubectl("-n", space, "delete", "pods", "-l", "app.kubernetes.io/component=test")
    of_the_tests = {"redis", "kube-root-ca.crt", "default", space, DEFINITION}

    def left() -> list[tuple[str, str, str]]:
        now = {thing for thing in everything(cluster) - before if thing[1] == space}
        return sorted(thing for thing in now if thing[2] not in of_the_tests and thing[0] not in DERIVED)

    wait_for(lambda: not left(), "the end of what the releases made", left, seconds=120)

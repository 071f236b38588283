"""The stacks on a node, with running pods: from the first preview to an end that leaves nothing."""

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from engine.lifecycle import Life, fine, wait_for
from engine.overlays import for_node
from engine.plugins.kube.client import Cluster
from engine.stack import STACK_FILES, Engine, Stack, laid_over, make_project, stack_config
from harness.enclosure import NODE_ADDRESS
from harness.runtime import REGISTRY
from mcp import Client as OfficialClient
from usage.turns import SCHEDULING

pytestmark = pytest.mark.cluster

HERE = Path(__file__).parent
LARGER = {"slipway:redis": {"storage": {"size": "33Gi"}}, "slipway:mongodb": {"storage": {"size": "33Gi"}}}
NAME_LABEL = "app.kubernetes.io/name"
OURS = "app.kubernetes.io/part-of=slipway"
# So that the tests which use one of them, in another process meanwhile, seldom wait for it.
ORDER = ("dev", "high-command", "mesh", "prod", "websocket-server", "archon", "map-server")
MISSING = f"{REGISTRY}/there-is-no-such-image@sha256:{'0' * 64}"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    return make_project(tmp_path_factory.mktemp("project") / "slipway")


@pytest.fixture(params=ORDER)
def life(request, running, cluster, project, kubeconfig, images, turns, tmp_path) -> Iterator[Life]:
    running.none()
    push = f"{sys.executable} {HERE / 'engine' / 'hand_over.py'}"
    engine = Engine(tmp_path / "engine", kubeconfig, patience=300, image=images["app"], push=push)
    config = laid_over(stack_config(request.param), for_node(request.param, images))
    with turns.of_stack(request.param):
        found = Life(Stack(engine, project, request.param, config), cluster, alone=False)
        yield found
        found.is_cleared_away()


def unready(cluster: Cluster, namespace: str) -> list[str]:
    """The stack's own pods that run but are not ready; those that a gateway starts are its own business."""
    return [
        pod["metadata"]["name"]
        for pod in cluster.select("v1", "Pod", namespace, OURS)
        if pod["status"].get("phase") != "Succeeded"
        and any(not entry.get("ready") for entry in pod["status"].get("containerStatuses") or [{}])
    ]


def by_workload(cluster: Cluster, namespace: str) -> dict[str, dict]:
    """One pod of each workload: the oldest, which is there for certain."""
    pods = [pod["metadata"] for pod in cluster.select("v1", "Pod", namespace, OURS)]
    newest_first = sorted(pods, key=lambda pod: (pod["creationTimestamp"], pod["name"]), reverse=True)
    return {pod["labels"][NAME_LABEL]: pod for pod in newest_first}


@contextmanager
def stuck_pods_deleted(cluster: Cluster, namespace: str) -> Iterator[None]:
    """What a person does meanwhile: a StatefulSet does not replace a pod that never started, until it is deleted."""
    over = threading.Event()

    def delete() -> None:
        while not over.wait(2):
            for pod in cluster.select("v1", "Pod", namespace, OURS):
                images = [entry["image"] for entry in pod["spec"]["containers"]]
                if MISSING in images and pod["metadata"]["ownerReferences"][0]["kind"] == "StatefulSet":
                    cluster.delete({"apiVersion": "v1", "kind": "Pod", "metadata": pod["metadata"]}, "Background")

    person = threading.Thread(target=delete)
    person.start()
    try:
        yield
    finally:
        over.set()
        person.join()


async def tools_through_the_node_port(port: int) -> set[str]:
    """What the official client, outside the cluster, is offered at a port of the node."""
    async with OfficialClient(f"http://{NODE_ADDRESS}:{port}/mcp") as client:
        return {tool.name for tool in (await client.list_tools()).tools}


def serves(port: int) -> bool:
    try:
        return bool(asyncio.run(tools_through_the_node_port(port)))
    except Exception:  # whatever the client makes of a server that is not there yet
        return False


def test_every_stack_has_its_turn():
    assert set(ORDER) == set(STACK_FILES)


def test_a_stack_lives_on_a_node_from_its_preview_to_its_end(life, cluster, kubectl, turns):
    namespace = life.space
    life.previews_and_is_reviewed()
    life.comes_up()
    wait_for(lambda: not unready(cluster, namespace), "ready pods", lambda: unready(cluster, namespace))
    servers = life.stack.config.get("slipway:servers", {})
    node_ports = [given["nodePort"] for given in servers.values() if "nodePort" in given]
    for port in node_ports:
        assert asyncio.run(tools_through_the_node_port(port))

    # Somebody kills a pod of each workload: another takes its place, and clients are served as before.
    killed = by_workload(cluster, namespace)
    kubectl("-n", namespace, "delete", "pod", *(pod["name"] for pod in killed.values()), "--grace-period=0", "--force")

    def recovered() -> bool:
        now = by_workload(cluster, namespace)
        others = now.keys() == killed.keys() and all(now[name]["uid"] != pod["uid"] for name, pod in killed.items())
        return others and not unready(cluster, namespace)

    wait_for(recovered, "pods again", lambda: unready(cluster, namespace))
    for port in node_ports:
        wait_for(lambda port=port: serves(port), f"clients served at {port}")
    life.stays_as_it_is("right after the first one")
    life.takes({"slipway:observability": {"logLevel": "warning"}})

    # A bad image fails the update; the pods of before go on serving, and the next update recovers.
    server = next(name for name in ("gateway", "operator", *servers) if name in killed)
    config, patience = life.stack.config, life.stack.engine.patience
    life.stack.engine.patience = 30
    life.stack.configure(laid_over(config, {"slipway:image": {"strategy": "published", "ref": MISSING}}))
    with turns.taken(SCHEDULING):
        failed = life.stack.up()
    assert not failed.fine
    assert any(server in error and "ImagePull" in error for error in failed.errors), failed.errors
    running = cluster.select("v1", "Pod", namespace, f"app.kubernetes.io/name={server}")
    assert [pod for pod in running if any(entry["ready"] for entry in pod["status"].get("containerStatuses") or ())]
    life.stack.engine.patience = patience
    life.stack.configure(config)
    with stuck_pods_deleted(cluster, namespace):
        fine(life.stack.up(), "the update that recovers")
    life.stays_as_it_is("after the recovery")

    life.mends_what_a_hand_changed()
    held = {key: value for key, value in LARGER.items() if life.stack.config.get(key, {}).get("storage")}
    if held:
        life.refuses_to_lose_data(held)
    life.leaves_nothing()

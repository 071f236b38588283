"""The stacks on a node, with running pods: from the first preview to an end that leaves nothing."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from engine.lifecycle import Life, fine, wait_for
from engine.overlays import lacking
from engine.plugins.kube.client import Cluster
from engine.stack import STACK_FILES, Stack, laid_over, make_project
from harness.existing import EXISTING
from harness.runtime import REGISTRY
from mcp import Client as OfficialClient
from usage.edges import EDGES, walk_edges
from usage.turns import REACH, SCHEDULING

pytestmark = pytest.mark.cluster

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
def life(request, ground, cluster, project, turns, tmp_path) -> Iterator[Life]:
    name = request.param
    if EXISTING and (missing := lacking(name, cluster)):
        pytest.skip(f"{name} wants {' and '.join(missing)}, which this cluster does not have")
    if not EXISTING:
        request.getfixturevalue("running").none()
    with turns.of_stack(name):
        found = Life(
            Stack(ground.engine(tmp_path / "engine"), project, name, ground.config(name)), cluster, alone=False
        )
        yield found
        found.is_cleared_away()


@pytest.fixture(scope="module")
def node_address(cluster: Cluster) -> str:
    node, *_ = cluster.select("v1", "Node", None)
    return next(entry["address"] for entry in node["status"]["addresses"] if entry["type"] == "InternalIP")


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


async def tools_at(url: str) -> set[str]:
    """What the official client, outside the cluster, is offered there."""
    async with OfficialClient(url) as client:
        return {tool.name for tool in (await client.list_tools()).tools}


def serves(url: str) -> bool:
    try:
        return bool(asyncio.run(tools_at(url)))
    except Exception:  # whatever the client makes of a server that is not there yet
        return False


def test_every_stack_has_its_turn():
    assert set(ORDER) == set(STACK_FILES) == set(EDGES)


def test_a_stack_lives_on_a_node_from_its_preview_to_its_end(life, cluster, kubectl, turns, node_address, walk):
    namespace = life.space
    life.previews_and_is_reviewed()
    life.comes_up()
    wait_for(lambda: not unready(cluster, namespace), "ready pods", lambda: unready(cluster, namespace))
    servers = life.stack.config.get("slipway:servers", {})
    node_ports = [f"http://{node_address}:{given['nodePort']}/mcp" for given in servers.values() if "nodePort" in given]
    for url in node_ports:
        assert asyncio.run(tools_at(url))
    with turns.taken(REACH), walk:
        walk_edges(walk, life.stack.name, life.stack.config)

    # Somebody kills a pod of each workload: another takes its place, and clients are served as before.
    killed = by_workload(cluster, namespace)
    kubectl("-n", namespace, "delete", "pod", *(pod["name"] for pod in killed.values()), "--grace-period=0", "--force")

    def recovered() -> bool:
        now = by_workload(cluster, namespace)
        others = now.keys() == killed.keys() and all(now[name]["uid"] != pod["uid"] for name, pod in killed.items())
        return others and not unready(cluster, namespace)

    wait_for(recovered, "pods again", lambda: unready(cluster, namespace))
    for url in node_ports:
        wait_for(lambda url=url: serves(url), f"clients served at {url}")
    life.stays_as_it_is("right after the first one")
    life.takes({"slipway:observability": {"logLevel": "warning"}})

    # A bad image fails the update; the pods of before go on serving, and the next update recovers.
    server = next(name for name in ("gateway", "operator", *servers) if name in killed)
    config = life.stack.config
    life.stack.engine.hopeless = "ImagePull"
    life.stack.configure(laid_over(config, {"slipway:image": {"strategy": "published", "ref": MISSING}}))
    with turns.taken(SCHEDULING):
        failed = life.stack.up()
    assert not failed.fine
    assert any(server in error and "ImagePull" in error for error in failed.errors), failed.errors
    running = cluster.select("v1", "Pod", namespace, f"app.kubernetes.io/name={server}")
    assert [pod for pod in running if any(entry["ready"] for entry in pod["status"].get("containerStatuses") or ())]
    life.stack.engine.hopeless = ""
    life.stack.configure(config)
    with stuck_pods_deleted(cluster, namespace):
        fine(life.stack.up(), "the update that recovers")
    life.stays_as_it_is("after the recovery")

    life.mends_what_a_hand_changed()
    held = {key: value for key, value in LARGER.items() if life.stack.config.get(key, {}).get("storage")}
    if held:
        life.refuses_to_lose_data(held)
    life.leaves_nothing()

"""The mesh in use: agents in the registry, one that the operator makes of an object, one that calls another."""

import asyncio
from collections.abc import Callable, Iterator

import httpx
import pytest
from engine.lifecycle import wait_for
from usage.clients import patiently
from usage.pods import Pods
from usage.ways import Way

from app.client import Client

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("stack")]

SPACE = "mcp-mesh"
LETTER = {"to": "Ada", "body": "The engine works."}


@pytest.fixture(scope="module")
def stack(running):
    return running.stack("mesh")


@pytest.fixture(scope="module")
def found(stack, kubeconfig) -> Iterator[Callable[[str], list[dict]]]:
    """Who, as the registry says, has a capability. Nobody, while the registry cannot be asked."""
    way = Way(kubeconfig, SPACE, "registry")

    def ask(capability: str) -> list[dict]:
        try:
            answer = httpx.get(f"{way.url()}/discover", params={"capability": capability}, timeout=20)
        except (httpx.TransportError, ConnectionError):
            return []
        return answer.raise_for_status().json()["agents"]

    yield ask
    way.close()


@pytest.fixture(scope="module")
def writer(stack, cluster, images, found, kubeconfig) -> Iterator[Way]:
    """An agent that somebody declares as an object, with an image of their own."""
    thing = {
        "apiVersion": "mesh.mcp.io/v1",
        "kind": "MCPAgent",
        "metadata": {"name": "writer", "namespace": SPACE},
        "spec": {
            "capabilities": [{"name": "write_letter", "timeout": 20}],
            "dependencies": ["greeting@^1"],
            "image": images["writer"],
            "environment": [{"name": "MCP_AGENT_MODULES", "value": "letters"}],
            "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}},
        },
    }
    cluster.apply(thing, "somebody")
    wait_for(lambda: found("write_letter"), "the agent that was declared")
    way = Way(kubeconfig, SPACE, "writer")
    yield way
    way.close()
    cluster.delete(thing, "Foreground")
    wait_for(lambda: not Pods(cluster, SPACE, "writer").all(), "the end of its pods")


async def letter(writer: Way) -> str:
    """What the writer answers, whose first line is another agent's."""
    url = await asyncio.to_thread(writer.url)
    async with Client(f"{url}/mcp", timeout=60) as client:
        answer = await client.call_tool("write_letter", LETTER)
    assert not answer.get("isError"), answer
    return answer["content"][0]["text"]


def replaced(pods: Pods, before: str) -> bool:
    return bool(pods.ready()) and before not in pods.names()


def test_the_registry_shows_the_stacks_agents_where_their_pods_are(cluster, found):
    wait_for(lambda: found("greeting"), "the agent of the stack")
    [agent] = found("greeting")
    [pod] = Pods(cluster, SPACE, "hello-world").all()
    assert agent["name"] == "hello-world"
    assert agent["endpoint"] == f"http://{pod['status']['podIP']}:8080"


async def test_an_agent_that_was_declared_as_an_object_calls_another(writer):
    text = await patiently(lambda: letter(writer))
    assert text.startswith("Hello, Ada! This is hello-world-")
    assert text.endswith("The engine works.\n")


async def test_an_agent_that_was_killed_is_replaced_and_found(writer, cluster, kubectl):
    agents = Pods(cluster, SPACE, "hello-world")
    [before] = agents.names()
    kubectl("-n", SPACE, "delete", "pod", before, "--grace-period=0", "--force")
    await asyncio.to_thread(wait_for, lambda: replaced(agents, before), "another", agents.names)

    async def answered_by_another() -> str:
        text = await letter(writer)
        assert before not in text
        return text

    assert (await patiently(answered_by_another)).startswith("Hello, Ada! This is hello-world-")


async def test_agents_stay_known_while_replicas_of_the_registry_are_killed(writer, found, cluster, kubectl):
    replicas = Pods(cluster, SPACE, "registry")
    uids = {pod["metadata"]["uid"] for pod in replicas.all()}
    for name in sorted(replicas.names())[:2]:
        kubectl("-n", SPACE, "delete", "pod", name, "--grace-period=0", "--force")
    assert (await patiently(lambda: letter(writer))).startswith("Hello, Ada!")

    def whole() -> bool:
        others = {pod["metadata"]["uid"] for pod in replicas.all()} - uids
        return len(replicas.ready()) == 3 and len(others) == 2

    await asyncio.to_thread(wait_for, whole, "three replicas", replicas.names)

    def known() -> set[str]:
        return {agent["name"] for capability in ("greeting", "write_letter") for agent in found(capability)}

    await asyncio.to_thread(wait_for, lambda: known() == {"hello-world", "writer"}, "both agents", known)


def test_an_operator_that_was_killed_goes_on_with_its_work(writer, cluster, kubectl):
    operators = Pods(cluster, SPACE, "operator")
    [before] = operators.names()
    kubectl("-n", SPACE, "delete", "pod", before, "--grace-period=0", "--force")
    wait_for(lambda: replaced(operators, before), "another operator", operators.names)
    kubectl("-n", SPACE, "patch", "mcpagent", "writer", "--type=merge", "-p", '{"spec":{"replicas":2}}')
    agents = Pods(cluster, SPACE, "writer")
    wait_for(lambda: len(agents.ready()) == 2, "two writers", agents.names)


def test_an_agent_that_is_deleted_in_the_foreground_takes_itself_out_of_the_registry(writer, cluster, kubectl, found):
    """As tools do that wait for the end of what they delete: its policy goes at once, its pods take their time."""
    assert {agent["name"] for agent in found("write_letter")} == {"writer"}
    kubectl("-n", SPACE, "delete", "mcpagent", "writer", "--cascade=foreground", "--wait=false")

    def left() -> bool:
        return bool(found("greeting")) and not found("write_letter")

    # Well before its heartbeats would be missed.
    wait_for(left, "its leaving", lambda: str(found("write_letter")), seconds=45)

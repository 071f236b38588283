"""`slipway gateway` in a pod, with the objects and the rights that the platform gives it, and its servers beside it."""

import asyncio
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine.lifecycle import wait_for
from engine.plugins.kube.naming import spell
from harness.api import Api
from usage.clients import patiently

from app.client import Client

pytestmark = pytest.mark.cluster

REPOSITORY = Path(__file__).parents[2]
EVERYTHING = ("node", "/srv/npm/node_modules/@modelcontextprotocol/server-everything/dist/index.js")
UP_SECONDS = 180


def objects(namespace: str, image: str) -> list[dict[str, Any]]:
    from infra.components.gateway import ExternalServer, Gateway, GatewayArgs, GatewaySecurity
    from infra.pods import Resources

    small = Resources(cpu_request="20m", memory_request="64Mi", cpu_limit="1", memory_limit="384Mi")
    args = GatewayArgs(
        namespace=namespace,
        image=image,
        archon_image=image,
        servers={
            "everything": ExternalServer(
                type="image",
                image=image,
                transport="stdio",
                args=EVERYTHING,
                secret_environment={"API_KEY": "a-secret-of-this-test"},
            ),
            "own": ExternalServer(type="archon"),
            "wrong": ExternalServer(type="image", image=f"{image.partition('@')[0]}:never-built", transport="stdio"),
        },
        security=GatewaySecurity(allow_custom_images=True),
        resources=small,
        server_resources=small,
    )
    spec = importlib.util.spec_from_file_location("platform_harness", REPOSITORY / "tests/infra/conftest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    stack = module.run_program(lambda: Gateway("gateway", args))
    kinds = ("ServiceAccount", "Role", "RoleBinding", "Secret", "ConfigMap", "Deployment")
    return [
        spell({**made.inputs, "metadata": {**made.inputs["metadata"], "name": made.object_name}})
        for kind in kinds
        for made in stack.all(kind)
    ]


class Space:
    """The namespace of one gateway."""

    def __init__(self, api: Api, name: str) -> None:
        self._api = api
        self._name = name

    def pods(self, selector: str) -> list[dict[str, Any]]:
        found = self._api.items(f"/api/v1/namespaces/{self._name}/pods", labelSelector=selector)
        return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]

    def servers(self) -> dict[str, str]:
        """The uid of each server's pod."""
        found = self.pods("slipway.dev/gateway=gateway")
        return {pod["metadata"]["labels"]["slipway.dev/server"]: pod["metadata"]["uid"] for pod in found}

    def gateway(self) -> dict[str, Any] | None:
        for pod in self.pods("app.kubernetes.io/component=gateway"):
            if any(
                each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", ())
            ):
                return pod
        return None

    def address(self) -> str:
        wait_for(self.gateway, "a gateway that is ready", seconds=UP_SECONDS)
        return f"http://{self.gateway()['status']['podIP']}:8051"

    def delete(self, path: str) -> None:
        self._api.delete(f"{path.format(f'namespaces/{self._name}')}")


@pytest.fixture
def space(api: Api, namespace: str, images: dict[str, str]) -> Iterator[Space]:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}})
    for manifest in objects(namespace, images["servers"]):
        api.apply(manifest)
    return Space(api, namespace)


async def echo(base: str, message: str) -> str:
    async with Client(f"{base}/mcp", timeout=30) as client:
        return (await client.call_tool("everything_echo", {"message": message}))["content"][0]["text"]


async def tools(base: str) -> set[str]:
    async with Client(f"{base}/mcp", timeout=30) as client:
        return {tool["name"].partition("_")[0] for tool in await client.list_tools()}


async def test_a_gateway_in_a_pod_runs_adopts_and_takes_along_its_servers(space, kubectl, namespace):
    base = await asyncio.to_thread(space.address)
    assert "from a pod" in await patiently(lambda: echo(base, "from a pod"), seconds=UP_SECONDS)

    async def both() -> None:
        assert {"everything", "own"} <= await tools(base)

    await patiently(both, seconds=UP_SECONDS)

    async def told() -> None:
        shown = json.loads(await asyncio.to_thread(read, f"{base}/servers"))
        (wrong,) = (server for server in shown if server["id"] == "wrong")
        assert "never-built" in wrong["reason"]

    await patiently(told, seconds=UP_SECONDS)
    before = await asyncio.to_thread(space.servers)

    gateway = (await asyncio.to_thread(space.gateway))["metadata"]["name"]
    await asyncio.to_thread(kubectl, "-n", namespace, "delete", "pod", gateway, "--grace-period=0", "--force")
    base = await asyncio.to_thread(space.address)
    assert "again" in await patiently(lambda: echo(base, "again"), seconds=UP_SECONDS)
    after = await asyncio.to_thread(space.servers)
    assert {name: after[name] for name in ("everything", "own")} == {
        name: before[name] for name in ("everything", "own")
    }

    await asyncio.to_thread(space.delete, "/apis/apps/v1/{}/deployments/gateway")
    await asyncio.to_thread(wait_for, lambda: not space.servers(), "no pod of a server", seconds=90)


def read(url: str) -> str:
    import httpx

    return httpx.get(url, timeout=20, trust_env=False).raise_for_status().text

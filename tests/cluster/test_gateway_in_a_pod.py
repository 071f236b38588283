"""`slipway gateway` in a pod, with the objects and the rights that the platform gives it, and its servers beside it."""

import asyncio
import json
from typing import Any

import pytest
from engine.lifecycle import wait_for
from harness.api import Api
from usage.clients import patiently
from usage.gateways import UP_SECONDS, Space, of_the_component, small

from app.client import Client

pytestmark = pytest.mark.cluster

EVERYTHING = ("node", "/srv/npm/node_modules/@modelcontextprotocol/server-everything/dist/index.js")


def objects(namespace: str, image: str) -> list[dict[str, Any]]:
    from infra.components.gateway import ExternalServer, GatewayArgs, GatewaySecurity

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
        resources=small(),
        server_resources=small(),
    )
    return of_the_component(args)


@pytest.fixture
def space(api: Api, namespace: str, images: dict[str, str]) -> Space:
    return Space.restricted(api, namespace, objects(namespace, images["servers"]))


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

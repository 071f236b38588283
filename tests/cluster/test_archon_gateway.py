"""The archon stack in use: the gateway knows the servers that its file declares, and serves clients in any case."""

import asyncio
from collections.abc import Iterator

import httpx
import pytest
from engine.lifecycle import wait_for
from mcp import Client as OfficialClient
from usage.clients import patiently
from usage.pods import Pods
from usage.ways import Way

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("stack")]

SPACE = "archon"
DECLARED = {"archon", "brave-search", "filesystem"}


@pytest.fixture(scope="module")
def stack(running):
    return running.stack("archon")


@pytest.fixture(scope="module")
def gateway(stack, kubeconfig) -> Iterator[Way]:
    way = Way(kubeconfig, SPACE, "gateway")
    yield way
    way.close()


async def revision(gateway: Way) -> str:
    """Which revision of the protocol the official client and the gateway agree on, once tools were listed."""
    url = await asyncio.to_thread(gateway.url)
    try:
        async with OfficialClient(f"{url}/mcp") as client:
            await client.list_tools()
            return client.protocol_version
    except ExceptionGroup as problems:
        # The client's, whatever it is in the end: nobody who answers.
        raise ConnectionError(str(problems)) from problems


def declared(gateway: Way) -> set[str]:
    answer = httpx.get(f"{gateway.url()}/servers", timeout=30).raise_for_status().json()
    assert {server["source"] for server in answer} <= {"declared"}
    return {server["id"] for server in answer}


async def test_the_official_client_is_served_whatever_became_of_the_servers(gateway):
    assert await patiently(lambda: revision(gateway)) == "2026-07-28"


def test_the_gateway_knows_every_server_of_its_file(gateway):
    assert declared(gateway) == DECLARED


def test_nobody_without_a_token_starts_a_server(gateway):
    answer = httpx.post(f"{gateway.url()}/servers", json={"template": "time"}, timeout=30)
    assert answer.status_code == 403


async def test_a_gateway_that_was_killed_is_replaced_and_knows_its_servers_again(gateway, cluster, kubectl):
    gateways = Pods(cluster, SPACE, "gateway")
    before = gateways.names()
    kubectl("-n", SPACE, "delete", "pod", *before, "--grace-period=0", "--force")

    def replaced() -> bool:
        return len(gateways.ready()) == len(before) and not before & gateways.names()

    await asyncio.to_thread(wait_for, replaced, "another gateway", gateways.names)
    assert await patiently(lambda: revision(gateway)) == "2026-07-28"
    await asyncio.to_thread(wait_for, lambda: declared(gateway) == DECLARED, "its servers")

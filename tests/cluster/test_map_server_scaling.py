"""The map server's autoscaler on real load: more replicas while clients call, and as few as before when they stop."""

import pytest
from engine.lifecycle import fine, wait_for
from usage.clients import Load
from usage.pods import Pods

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("outside")]

SPACE, SERVER = "mcp-map-server", "mcp-map-server"
URL = "https://mcp-map.your-domain.com/mcp"
# Enough memory for it to decide nothing, little CPU so that a few clients are a load, and no five minutes of waiting.
EAGER = {
    "autoscaling": {"maxReplicas": 4, "scaleDownStabilizationSeconds": 15},
    "resources": {"requests": {"cpu": "40m", "memory": "256Mi"}},
}


@pytest.fixture
def servers(running, cluster) -> Pods:
    stack = running.stack("map-server")
    before = stack.config
    stack.change({"slipway:servers": {SERVER: EAGER}})
    fine(stack.up(), "the update of the autoscaler")
    yield Pods(cluster, SPACE, SERVER)
    stack.configure(before)
    fine(stack.up(), "the update to the autoscaler of before")


async def test_load_makes_replicas_more_and_its_end_makes_them_two_again(servers, cluster):
    def autoscaler() -> dict:
        return cluster.get("autoscaling/v2", "HorizontalPodAutoscaler", SPACE, SERVER)

    def said() -> object:
        status = autoscaler()["status"]
        return status.get("currentMetrics"), [entry["message"] for entry in status.get("conditions", [])]

    def rests(replicas: int) -> bool:
        status = autoscaler()["status"]
        counts = (status.get("currentReplicas"), status.get("desiredReplicas"), len(servers.ready()))
        return counts == (replicas, replicas, replicas)

    # What the start of new pods took is still in the first averages.
    wait_for(lambda: rests(2), "a rest with two replicas", said)
    load = Load(URL, sessions=8, pause=0.01)
    await load.during(lambda: wait_for(lambda: len(servers.ready()) > 2, "a third replica", said))
    assert not load.failures, load.failures
    wait_for(lambda: rests(2), "two replicas again", said, seconds=300)

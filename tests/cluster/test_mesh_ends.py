"""The end of a mesh in which there are still agents that people declared."""

import pytest
from engine.lifecycle import fine, wait_for

pytestmark = pytest.mark.cluster

SPACE = "mcp-mesh"
DEFINITION = "mcpagents.mesh.mcp.io"


def test_a_stack_that_is_destroyed_takes_the_agents_that_were_declared_with_it(running, cluster):
    stack = running.stack("mesh")
    thing = {
        "apiVersion": "mesh.mcp.io/v1",
        "kind": "MCPAgent",
        "metadata": {"name": "forgotten", "namespace": SPACE},
        "spec": {
            "capabilities": [{"name": "greeting"}],
            "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}},
        },
    }
    cluster.apply(thing, "somebody")

    def registered() -> bool:
        live = cluster.get("mesh.mcp.io/v1", "MCPAgent", SPACE, "forgotten") or {}
        conditions = live.get("status", {}).get("conditions") or ()
        return any(each["type"] == "Registered" and each["status"] == "True" for each in conditions)

    wait_for(registered, "the agent", lambda: cluster.get("mesh.mcp.io/v1", "MCPAgent", SPACE, "forgotten"))
    fine(stack.destroy(), "the destruction")
    assert cluster.get("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, DEFINITION) is None
    wait_for(lambda: cluster.get("v1", "Namespace", None, SPACE) is None, "the end of the namespace")
    running.none()

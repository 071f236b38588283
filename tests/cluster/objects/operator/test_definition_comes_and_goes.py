"""The definition of agents is made after their operator, and deleted before it."""

from .conftest import eventually, prepare

DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/mcpagents.mesh.mcp.io"


def test_an_operator_is_ready_before_its_definition_and_ends_the_agents_that_go_with_it(operators, space, server):
    space.api.delete(DEFINITION)
    try:
        eventually(lambda: space.api.get(DEFINITION) is None, "the definition is gone")
        operators.lead()
        prepare(server).close()
        space.agent("hello")
        eventually(lambda: space.made("hello"), "the agent is made")
        assert space.api.get(space.agent_path("hello"))["metadata"]["finalizers"]

        space.api.delete(DEFINITION)
        eventually(lambda: space.api.get(DEFINITION) is None, "it goes, and its agents with it", seconds=120)
        eventually(lambda: space.deployment("hello") is None, "so does what they became")
    finally:
        prepare(server).close()
    space.agent("hello")
    eventually(lambda: space.made("hello"), "agents are made again once there is a definition again")

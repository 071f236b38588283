"""What the API server says of an `MCPAgent`, before any operator sees it: defaults, and refusals that say why."""

import pytest

VARIABLE = {"name": "ZONE", "value": "a"}


def test_what_is_not_said_is_filled_in(space):
    spec = space.agent("hello", autoscaling={}, environment=[VARIABLE])["spec"]
    assert spec == {
        "capabilities": [{"name": "greeting", "version": "1.0.0", "timeout": 30}],
        "port": 8080,
        "replicas": 1,
        "healthInterval": 30,
        "retryAttempts": 3,
        "environment": [VARIABLE],
        "resources": {
            "requests": {"cpu": "100m", "memory": "256Mi"},
            "limits": {"cpu": "500m", "memory": "512Mi"},
        },
        "autoscaling": {"minReplicas": 2, "maxReplicas": 10, "cpu": 70, "memory": 80},
        "internetAccess": False,
        "serviceMonitor": False,
    }


def create(space, name, spec):
    """As `kubectl create` does."""
    given = {"capabilities": [{"name": "greeting"}], **spec}
    body = {"apiVersion": "mesh.mcp.io/v1", "kind": "MCPAgent", "metadata": {"name": name}, "spec": given}
    return space.api._http.post(space.path("mcpagents", group="mesh.mcp.io/v1"), json=body)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"capabilities": [{"name": "a"}, {"name": "a"}]}, 'spec.capabilities[1]: Duplicate value: {"name":"a"}'),
        ({"capabilities": [{"name": "a b"}]}, "spec.capabilities[0].name"),
        ({"capabilities": [{"name": "a", "version": "newest"}]}, "spec.capabilities[0].version"),
        (
            {"dependencies": ["greeting"]},
            "an agent cannot depend on a capability of its own: remove it from dependencies",
        ),
        (
            {"autoscaling": {"minReplicas": 5, "maxReplicas": 2}},
            "minReplicas is above maxReplicas: lower it, or raise maxReplicas",
        ),
        (
            {"environment": [{"name": "A", "value": "1", "secret": {"name": "s", "key": "k"}}]},
            "a variable has either a value or a secret: give exactly one of them",
        ),
        ({"environment": [{"name": "A"}]}, "a variable has either a value or a secret: give exactly one of them"),
        ({"environment": [{"name": "MCP_PORT", "value": "1"}]}, "the operator sets MCP_PORT itself: remove it"),
        (
            {"resources": {"limits": {"memory": "128Mi"}}},
            "requests.memory is above limits.memory: lower it, or raise the limit",
        ),
        (
            {"resources": {"requests": {"cpu": "2"}}},
            "requests.cpu is above limits.cpu: lower it, or raise the limit",
        ),
        ({"resources": {"requests": {"cpu": "much"}}}, "spec.resources.requests.cpu"),
        ({"image": "shop/agent :2"}, "spec.image"),
        ({"image": ""}, "spec.image"),
        ({"port": 80}, "spec.port in body should be greater than or equal to 1024"),
        ({"replicas": -1}, "spec.replicas in body should be greater than or equal to 0"),
        ({"healthInterval": 0}, "spec.healthInterval in body should be greater than or equal to 1"),
        ({"capabilities": [{"name": f"c{index}"} for index in range(65)]}, "must have at most 64 items"),
        ({"capabilities": "greeting"}, 'spec.capabilities in body must be of type array: "string"'),
    ],
    ids=lambda value: None if isinstance(value, dict) else value[:40],
)
def test_a_spec_that_no_agent_can_be_made_of_is_refused(space, spec, message):
    answer = create(space, "hello", spec)
    assert answer.status_code == 422
    assert message in answer.json()["message"]


@pytest.mark.parametrize("name", ["1st", "a.b", "x" * 48])
def test_a_name_that_could_not_be_a_service_s_is_refused(space, name):
    answer = create(space, name, {})
    assert answer.status_code == 422
    assert "metadata.name" in answer.json()["message"]

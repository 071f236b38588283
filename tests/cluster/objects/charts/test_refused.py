"""Wrong values are refused before anything reaches the cluster, with a message that says what to do."""

import pytest

pytestmark = pytest.mark.cluster

AGENT = {
    "a key that does not exist": ({"replica": 2}, "additional properties 'replica' not allowed"),
    "a key that does not exist, deeper": (
        {"networkPolicy": {"internet": True}},
        "at '/networkPolicy': additional properties 'internet' not allowed",
    ),
    "a number for a text": ({"environment": {"ZONE": 1}}, "at '/environment/ZONE': got number, want string"),
    "a text for a number": ({"replicas": "three"}, "at '/replicas': got string, want integer"),
    "a privileged port": ({"port": 80}, "at '/port': minimum: got 80, want 1,024"),
    "a version of two numbers": (
        {"capabilities": [{"name": "sum", "version": "1.0"}]},
        "at '/capabilities/0/version': '1.0' does not match pattern",
    ),
    "a capability without a name": (
        {"capabilities": [{"version": "1.0.0"}]},
        "at '/capabilities/0': missing property 'name'",
    ),
    "a capability twice": (
        {"capabilities": [{"name": "sum"}, {"name": "sum"}]},
        'capabilities: "sum" is there twice: give it once',
    ),
    "a dependency on itself": (
        {"dependencies": ["greeting@^1"]},
        'an agent cannot depend on "greeting@^1", a capability of its own: remove it',
    ),
    "a derived variable": (
        {"environment": {"MCP_PORT": "9000"}},
        "environment sets MCP_PORT, which the chart derives: remove it",
    ),
    "a derived variable from a Secret": (
        {"secretEnvironment": {"POD_IP": {"secret": "keys", "key": "ip"}}},
        "secretEnvironment sets POD_IP, which the chart derives: remove it",
    ),
    "a variable with a value of its own": (
        {
            "registry": {"token": {"secret": "keys"}},
            "secretEnvironment": {"MCP_MESH_TOKEN": {"secret": "keys", "key": "token"}},
        },
        "secretEnvironment sets MCP_MESH_TOKEN, which has a value of its own in this chart: set that instead",
    ),
    "a variable twice": (
        {"environment": {"KEY": "a"}, "secretEnvironment": {"KEY": {"secret": "keys", "key": "key"}}},
        "KEY comes from a Secret and from environment: remove it from environment",
    ),
    "bounds the wrong way round": (
        {"autoscaling": {"enabled": True, "minReplicas": 20}},
        "minReplicas is 20, above maxReplicas 10: lower it, or raise maxReplicas",
    ),
    "nothing to scale by": (
        {"autoscaling": {"enabled": True, "cpu": None, "memory": None}},
        "autoscaling has neither cpu nor memory to scale by: set one",
    ),
    "a secret in the registry's address": (
        {"registry": {"url": "http://me:secret@registry"}},
        "at '/registry/url'",
    ),
    "a name that no Service can have": (
        {"nameOverride": "Hello"},
        "at '/nameOverride': 'Hello' does not match pattern",
    ),
}
REGISTRY = {
    "replicas that share nothing": (
        {},
        "redis.secret is empty, and 3 replicas share what they know through Redis: name an existing Secret whose key",
    ),
    "a key that does not exist": (
        {"redis": {"secret": "redis", "password": "x"}},
        "at '/redis': additional properties 'password' not allowed",
    ),
    "a size that is none": ({"replicas": 1, "storage": {"size": "big"}}, "at '/storage/size': 'big' does not match"),
    "a node port out of range": ({"replicas": 1, "nodePort": 80}, "at '/nodePort': minimum: got 80, want 30,000"),
    "a derived variable": (
        {"replicas": 1, "environment": {"REGISTRY_ID": "me"}},
        "environment sets REGISTRY_ID, which the chart derives: remove it",
    ),
    "a variable with a value of its own": (
        {"redis": {"secret": "redis"}, "environment": {"REDIS_URL": "redis://redis"}},
        "REDIS_URL comes from a Secret and from environment: remove it from environment",
    ),
}
CHARTS = {"slipway-agent": AGENT, "slipway-registry": REGISTRY}


@pytest.mark.parametrize(("chart", "mistake"), [(chart, name) for chart, all_of in CHARTS.items() for name in all_of])
def test_a_mistake_is_refused_with_what_to_do(helm, chart, mistake):
    values, message = CHARTS[chart][mistake]
    done = helm.run("install", "wrong", f"charts/{chart}", "--namespace", "default", values=values)
    assert done.returncode != 0
    assert message in done.stderr


@pytest.mark.parametrize("name", ["a" * 50, "1password", "hello.world"])
def test_a_release_with_a_name_that_no_service_can_have_is_refused(helm, name):
    done = helm.run("install", name, "charts/slipway-agent", "--namespace", "default")
    assert done.returncode != 0
    assert "use at most 47 lower-case letters, digits and dashes" in done.stderr


def test_nothing_of_a_refused_release_is_there(helm):
    assert helm.succeed("list", "--namespace", "default", "--all", "--short") == ""

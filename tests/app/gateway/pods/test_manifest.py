"""Pods as they are asked for, and what their status says."""

from dataclasses import replace

import pytest

from app.gateway.launcher import LaunchError
from app.gateway.pods.manifest import manifest, pod_name, reached_by
from app.gateway.pods.options import PodOptions
from app.gateway.pods.reasons import seen
from app.gateway.spec import LaunchSpec

OPTIONS = PodOptions(
    namespace="here", gateway="gateway", bridge_image="bridge:1", environment={"UV_DEFAULT_INDEX": "x"}
)


def spec(**more):
    return LaunchSpec(
        **{"id": "one", "type": "npx", "transport": "stdio", "command": ("npx", "-y", "--", "it"), **more}
    )


def container(**more):
    return manifest(spec(**more), OPTIONS, "one", None)["spec"]["containers"][0]


def test_names_are_dns_labels_and_tell_servers_apart():
    long = [pod_name(OPTIONS, f"{'very-long-name-' * 4}{end}", "0123456789abcdef") for end in "ab"]
    assert all(len(name) <= 63 and name.endswith("-01234567") for name in long)
    assert long[0] != long[1]
    assert pod_name(OPTIONS, "time", "0123456789abcdef", "-ab12") == "gateway-time-01234567-ab12"


def test_a_package_runs_behind_our_bridge():
    made = container(idle_seconds=90.0)
    assert made["image"] == "bridge:1"
    assert made["command"][:2] == ["slipway", "bridge"]
    assert made["command"][-6:] == ["90", "--", "npx", "-y", "--", "it"]
    names = {entry["name"] for entry in made["env"]}
    assert {"SLIPWAY_CHILD_UV_DEFAULT_INDEX", "SLIPWAY_CHILD_npm_config_cache", "MCP_HOST"} <= names
    assert made["startupProbe"]["httpGet"]["path"] == "/ready"
    assert reached_by(spec()) == "http"


def test_a_package_that_listens_runs_by_itself_in_our_image():
    made = container(transport="http", port=7000)
    assert (made["image"], made["command"]) == ("bridge:1", ["npx", "-y", "--", "it"])
    assert made["ports"][0]["containerPort"] == 7000
    assert made["startupProbe"]["tcpSocket"] == {"port": "mcp"}  # what it answers at other paths is its own business


def test_variables_of_a_secret_are_for_what_installs_the_package():
    options = replace(OPTIONS, environment_secret="registries")
    bridged = manifest(spec(), options, "one", None)["spec"]["containers"][0]
    assert bridged["envFrom"] == [{"prefix": "SLIPWAY_CHILD_", "secretRef": {"name": "registries"}}]
    alone = manifest(spec(transport="http", port=7000), options, "one", None)["spec"]["containers"][0]
    assert alone["envFrom"] == [{"secretRef": {"name": "registries"}}]
    own = manifest(spec(type="archon", transport="http", port=8000), options, "one", None)["spec"]["containers"][0]
    assert "envFrom" not in own


def test_our_own_image_is_told_where_to_listen():
    made = container(
        type="archon", transport="sse", image="archon:1", port=8000, command=(), environment={"MCP_PORT": "8000"}
    )
    assert (made["image"], made["command"]) == ("archon:1", ["slipway", "serve"])
    assert {"name": "MCP_PORT", "value": "8000"} in made["env"]


def test_an_image_that_listens_gets_the_words_for_its_entry_point():
    made = container(type="image", transport="http", image="own:1", port=9000, command=("--fast",))
    assert (made["image"], made["args"]) == ("own:1", ["--fast"])
    assert "command" not in made
    assert made["readinessProbe"]["tcpSocket"] == {"port": "mcp"}
    assert made["ports"][0]["containerPort"] == 9000


@pytest.mark.parametrize(("command", "how"), [(("serve", "it"), "exec"), ((), "attach")])
def test_an_image_that_speaks_on_its_streams_keeps_its_input_open(command, how):
    given = {"type": "image", "image": "own:1", "command": command}
    made = container(**given)
    assert made["stdin"] is True
    assert made.get("stdinOnce", False) is (how == "attach")
    assert made.get("command", []) == list(command)
    assert reached_by(spec(**given)) == how


def test_no_word_is_read_as_a_variable_by_kubernetes():
    made = container(command=("it", "$(API_KEY)", "$$"), environment={"PRICE": "$(API_KEY)"})
    assert made["command"][-2:] == ["$$(API_KEY)", "$$$$"]
    assert {"name": "SLIPWAY_CHILD_PRICE", "value": "$$(API_KEY)"} in made["env"]


def test_a_package_without_a_command_is_refused():
    with pytest.raises(LaunchError, match="has no command"):
        container(command=())


@pytest.mark.parametrize(
    ("status", "state", "reason"),
    [
        ({}, "starting", ""),
        ({"phase": "Failed", "reason": "Evicted", "message": "low on memory"}, "failed", "Evicted: low on memory"),
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}]},
            "failed",
            "ErrImagePull: not found",
        ),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}, "starting", ""),
        (
            {
                "containerStatuses": [
                    {"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}, "restartCount": 1}
                ]
            },
            "starting",
            "OOMKilled: it used more memory than it may",
        ),
        (
            {
                "containerStatuses": [
                    {
                        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
                        "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "message": "a\nbad key\n"}},
                    }
                ]
            },
            "failed",
            "CrashLoopBackOff: exit status 1: bad key",
        ),
        (
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
                ]
            },
            "starting",
            "Unschedulable: 0/1 nodes",
        ),
        ({"containerStatuses": [{"state": {"running": {}}, "started": False}]}, "starting", ""),
        ({"containerStatuses": [{"state": {"running": {}}, "started": True}]}, "running", ""),
    ],
)
def test_a_status_is_a_state_and_a_reason(status, state, reason):
    found = seen({"metadata": {}, "status": status})
    assert (found.state, found.reason) == (state, reason)

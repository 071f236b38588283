"""The operator in trouble: replicas end or freeze, the registry or the API server is away, news are missed."""

import signal
import time

from .conftest import HOME, TOKEN, eventually, know_monitors, owned, restart

PATCHES = r'slipway_operator_api_calls_total\{.*verb="PATCH"'


def still(look, seconds=3.0):
    """Whether what `look` returns has been the same for so long, asked again and again."""
    seen, since = None, time.monotonic()

    def unchanged():
        nonlocal seen, since
        now = look()
        if now != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since >= seconds

    return unchanged


def test_what_no_watch_told_is_mended_now_and_then(operators, space):
    operators.lead(MCP_OPERATOR_RESYNC_SECONDS="1")
    space.agent("hello")
    eventually(lambda: space.made("hello"), "the agent is made")
    # Without its label no watch of the operator's sees the object.
    path = space.path("serviceaccounts", "hello")
    space.api.merge(path, {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}})

    def mended():
        return space.api.get(path)["metadata"]["labels"].get("app.kubernetes.io/managed-by") == "slipway-operator"

    eventually(mended, "the label comes back")


def test_a_monitor_is_made_once_the_cluster_knows_the_kind(operators, space, server):
    definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/servicemonitors.monitoring.coreos.com"
    space.api.delete(definition)
    try:
        eventually(lambda: space.api.get(definition) is None, "the kind is gone")
        operators.lead(MCP_OPERATOR_RESYNC_SECONDS="1")
        space.agent("hello", serviceMonitor=True)
        eventually(lambda: space.made("hello"), "the agent is made without")
        eventually(lambda: ("Warning", "NoServiceMonitor") in space.events(), "the lack is told")
    finally:
        know_monitors(server)
    eventually(lambda: owned(space, "servicemonitors", "monitoring.coreos.com/v1"), "the monitor is made")


class TestRegistry:
    def test_what_is_registered_is_in_the_status(self, operators, space, registry):
        operators.lead(MCP_MESH_REGISTRY_URL=registry.url, MCP_OPERATOR_REGISTRY_TOKEN=TOKEN)
        registry.register("hello", space.name)
        registry.register("hello", "another-namespace", replica="two")
        space.agent("hello")
        eventually(lambda: space.status("hello").get("endpoints"), "the endpoints are told")
        assert space.status("hello")["endpoints"] == ["http://127.0.0.1:9"]
        assert space.status("hello")["tools"] == ["greeting"]
        assert space.condition("hello", "Registered")["status"] == "True"

    def test_an_agent_that_goes_is_deregistered(self, operators, space, registry):
        operators.lead(MCP_MESH_REGISTRY_URL=registry.url, MCP_OPERATOR_REGISTRY_TOKEN=TOKEN)
        registry.register("hello", space.name)
        registry.register("hello", "another-namespace", replica="two")
        space.agent("hello")
        eventually(lambda: space.made("hello"), "the agent is made")
        space.api.delete(space.agent_path("hello"))
        eventually(lambda: space.api.get(space.agent_path("hello")) is None, "the agent goes")
        assert [each["replica"] for each in registry.agents("hello")] == ["two"]
        eventually(lambda: not owned(space, "services"), "what it owned goes too")

    def test_a_registry_that_is_away_holds_nobody_up_for_long(self, operators, space, registry):
        operators.lead(MCP_MESH_REGISTRY_URL=registry.url, MCP_OPERATOR_REGISTRY_TOKEN=TOKEN)
        space.agent("hello")
        eventually(lambda: space.made("hello"), "the agent is made")
        registry.process.send_signal(signal.SIGKILL)
        space.api.delete(space.agent_path("hello"))
        eventually(lambda: space.api.get(space.agent_path("hello")) is None, "the agent goes", seconds=60)
        events = space.api.items(space.path("events"))
        assert "NotDeregistered" in {each["reason"] for each in events}

    def test_its_absence_is_told_and_forgets_no_endpoint(self, operators, space, registry):
        operators.lead(MCP_MESH_REGISTRY_URL=registry.url, MCP_OPERATOR_REGISTRY_TOKEN=TOKEN)
        registry.register("hello", space.name)
        space.agent("hello")
        eventually(lambda: space.status("hello").get("endpoints"), "the endpoints are told")
        registry.process.kill()
        eventually(lambda: space.condition("hello", "Registered")["reason"] == "RegistryAway", "the absence is told")
        assert space.status("hello")["endpoints"] == ["http://127.0.0.1:9"]


class TestReplicas:
    def test_one_works_and_the_others_wait(self, operators, space):
        leader, standby = operators.lead(), operators.start()
        space.agent("hello")
        eventually(lambda: space.made("hello"), "the agent is made")
        assert standby.role() == "standby"
        assert standby.metric(r"slipway_operator_leader ") == 0
        assert standby.metric(r'slipway_operator_api_calls_total\{.*verb="PATCH"') == 0
        assert leader.metric(r"slipway_operator_leader ") == 1

    def test_the_next_begins_at_once_when_the_leader_ends(self, operators, space):
        leader, standby = operators.lead(), operators.start()
        assert leader.end() == 0
        eventually(lambda: standby.role() == "leader", "the other leads", seconds=6)
        space.agent("hello")
        eventually(lambda: space.made("hello"), "the agent is made")

    def test_a_leader_that_was_killed_is_followed_once_its_lease_is_over(self, operators, space):
        leader, standby = operators.lead(), operators.start()
        leader.end(signal.SIGKILL)
        eventually(lambda: standby.role() == "leader", "the other leads", seconds=25)
        lease = space.api.get(f"/apis/coordination.k8s.io/v1/namespaces/{HOME}/leases/operator-leader")
        assert lease["spec"]["holderIdentity"].startswith("operator-1_")

    def test_a_leader_that_was_frozen_finds_itself_replaced(self, operators, space):
        leader, standby = operators.lead(), operators.start()
        leader.process.send_signal(signal.SIGSTOP)
        eventually(lambda: standby.role() == "leader", "the other leads", seconds=25)
        leader.process.send_signal(signal.SIGCONT)
        eventually(lambda: leader.role() == "standby", "the first waits")
        assert standby.role() == "leader"


class TestTrouble:
    def test_what_changed_while_it_was_away_is_carried_out(self, operators, space):
        first = operators.lead()
        space.agent("hello", autoscaling={})
        space.agent("other")
        eventually(lambda: space.made("hello") and space.made("other"), "the agents are made")
        first.end()
        space.agent("hello", replicas=2)
        space.api.delete(space.agent_path("other"))
        space.api.delete(space.path("services", "hello-headless"))
        operators.lead()
        eventually(lambda: space.autoscaler("hello") is None, "the autoscaler goes")
        eventually(lambda: space.deployment("hello")["spec"]["replicas"] == 2, "two pods are wanted")
        eventually(lambda: space.api.get(space.path("services", "hello-headless")), "the Service comes back")
        eventually(lambda: space.api.get(space.agent_path("other")) is None, "the other agent goes")

    def test_an_api_server_that_was_away_is_found_again(self, operators, space, server):
        leader = operators.lead()
        [child] = [child for name, child in server._children if name == "kube-apiserver"]
        child.send_signal(signal.SIGSTOP)
        try:
            eventually(lambda: leader.role() == "standby", "it stops working without its lease", seconds=30)
        finally:
            child.send_signal(signal.SIGCONT)
        space.agent("hello")
        eventually(lambda: space.made("hello"), "the agent is made", seconds=60)
        assert leader.process.poll() is None

    def test_an_api_server_that_was_started_again_is_followed_from_where_it_is_now(self, operators, space, server):
        leader = operators.lead()
        space.agent("hello")
        eventually(lambda: space.made("hello"), "the agent is made")
        restart(server)
        space.api.delete(space.path("services", "hello-headless"))
        space.agent("other")
        eventually(lambda: space.made("other"), "another agent is made", seconds=120)
        eventually(lambda: space.api.get(space.path("services", "hello-headless")), "the Service comes back")
        assert leader.process.poll() is None

    def test_a_new_operator_writes_nothing_where_all_is_in_order(self, operators, space):
        first = operators.lead()
        space.agent("hello", autoscaling={}, serviceMonitor=True, environment=[{"name": "EMPTY", "value": ""}])
        eventually(lambda: space.made("hello") and space.status("hello").get("replicas") == 2, "the agent is made")
        eventually(still(lambda: first.metric(PATCHES)), "the first has nothing more to write")
        first.end()
        second = operators.lead()
        eventually(lambda: second.metric("slipway_operator_reconciles_total") >= 1, "the agent is looked at")
        assert second.metric(PATCHES) == 0

    def test_a_change_by_another_in_the_same_moment_is_not_lost(self, operators, space):
        operators.lead()
        for index in range(10):
            space.agent(f"agent-{index}")
            # Races the operator, which adds its own finalizer.
            space.api.merge(space.agent_path(f"agent-{index}"), {"metadata": {"labels": {"by": "hand"}}})
        eventually(lambda: all(space.made(f"agent-{index}") for index in range(10)), "all are made")
        for each in space.api.items(space.agent_path("").rstrip("/")):
            assert each["metadata"]["labels"] == {"by": "hand"}
            assert each["metadata"]["finalizers"] == ["mesh.mcp.io/deregister"]

    def test_other_finalizers_stay(self, operators, space):
        operators.lead()
        space.agent("hello")
        eventually(lambda: space.made("hello"), "the agent is made")
        space.api.merge(
            space.agent_path("hello"), {"metadata": {"finalizers": ["mesh.mcp.io/deregister", "example.org/mine"]}}
        )
        space.api.delete(space.agent_path("hello"))
        eventually(
            lambda: space.api.get(space.agent_path("hello"))["metadata"]["finalizers"] == ["example.org/mine"],
            "only the other finalizer is left",
        )

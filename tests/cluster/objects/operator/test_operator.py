"""The operator on a real API server, under its real account: what it makes, mends, tells and takes away."""

import signal

import pytest

from .conftest import HOME, TOKEN, eventually

PARTS = (
    ("serviceaccounts", ""),
    ("services", ""),
    ("configmaps", ""),
    ("deployments", "apps/v1"),
    ("poddisruptionbudgets", "policy/v1"),
    ("networkpolicies", "networking.k8s.io/v1"),
)


def owned(space, kind, group=""):
    """The objects of a kind that an agent owns."""
    found = space.api.items(space.path(kind, group=group))
    return [each for each in found if each["metadata"].get("ownerReferences")]


def test_an_agent_becomes_its_objects(operators, space):
    operators.lead()
    space.agent("hello", serviceMonitor=True, autoscaling={"minReplicas": 3})
    eventually(lambda: space.made("hello"), "the agent is made")
    for kind, group in (
        *PARTS,
        ("horizontalpodautoscalers", "autoscaling/v2"),
        ("servicemonitors", "monitoring.coreos.com/v1"),
    ):
        assert owned(space, kind, group), kind
    uid = space.api.get(space.agent_path("hello"))["metadata"]["uid"]
    assert [each["uid"] for each in space.deployment("hello")["metadata"]["ownerReferences"]] == [uid]


def test_its_status_says_what_is(operators, space):
    operators.lead()
    space.agent("hello", replicas=2)
    found = eventually(
        lambda: space.status("hello").get("replicas") == 2 and space.status("hello"), "the pods are counted"
    )
    assert found["readyReplicas"] == 0
    assert found["selector"] == "app.kubernetes.io/name=hello,app.kubernetes.io/component=agent"
    available = space.condition("hello", "Available")
    assert (available["status"], available["reason"]) == ("False", "NoReadyPods")
    assert available["message"] == "Ready pods: 0 of 2."
    assert space.condition("hello", "Progressing")["reason"] == "RollingOut"
    assert space.condition("hello", "Registered")["reason"] == "NoRegistry"
    assert {each["observedGeneration"] for each in found["conditions"]} == {1}


def test_people_are_told_by_events(operators, space):
    operators.lead()
    space.agent("hello")

    def told():
        events = space.api.items(space.path("events"))
        return {each["reason"] for each in events if each["involvedObject"]["kind"] == "MCPAgent"}

    eventually(lambda: {"NoReadyPods", "RollingOut"} <= told(), "events are written")


def test_its_account_is_never_refused_anything(operators, space):
    leader = operators.lead()
    space.agent("hello", autoscaling={}, serviceMonitor=True)
    eventually(lambda: space.made("hello"), "the agent is made")
    space.agent("hello")
    eventually(lambda: space.autoscaler("hello") is None, "the autoscaler goes")
    space.api.delete(space.agent_path("hello"))
    eventually(lambda: space.api.get(space.agent_path("hello")) is None, "the agent goes")
    assert leader.metric(r'slipway_operator_api_calls_total\{.*status="403"') == 0
    assert "403" not in leader.log.read_text()


class TestScaling:
    def test_an_autoscaler_that_is_not_wanted_goes_and_the_number_of_pods_comes_back(self, operators, space):
        operators.lead()
        space.agent("hello", replicas=3, autoscaling={"minReplicas": 5, "maxReplicas": 6})
        eventually(lambda: (space.deployment("hello") or {}).get("status", {}).get("replicas") == 5, "it scales up")
        space.agent("hello", replicas=3)
        eventually(lambda: space.autoscaler("hello") is None, "the autoscaler goes")
        eventually(lambda: space.deployment("hello")["spec"]["replicas"] == 3, "three pods are wanted again")

    def test_a_new_autoscaler_finds_the_pods_that_there_were(self, operators, space):
        operators.lead()
        space.agent("hello", replicas=4)
        eventually(lambda: space.made("hello"), "the agent is made")
        version = space.api.list(space.path("deployments", group="apps/v1"))["metadata"]["resourceVersion"]
        space.agent("hello", replicas=4, autoscaling={"minReplicas": 2, "maxReplicas": 8})
        eventually(lambda: space.autoscaler("hello"), "there is an autoscaler")
        eventually(lambda: space.made("hello"), "the change is carried out")
        path = space.path("deployments", group="apps/v1")
        counts = [event["object"]["spec"]["replicas"] for event in space.api.follow(path, version, seconds=1)]
        assert counts
        assert set(counts) == {4}

    def test_the_scale_subresource_scales_an_agent(self, operators, space):
        operators.lead()
        space.agent("hello")
        eventually(lambda: space.made("hello"), "the agent is made")
        space.api.merge(f"{space.agent_path('hello')}/scale", {"spec": {"replicas": 6}})
        eventually(lambda: space.deployment("hello")["spec"]["replicas"] == 6, "six pods are wanted")
        eventually(lambda: space.status("hello")["replicas"] == 6, "six pods are counted")


class TestDrift:
    def test_a_changed_field_comes_back(self, operators, space):
        operators.lead()
        space.agent("hello", replicas=2)
        eventually(lambda: space.made("hello"), "the agent is made")
        path = space.path("deployments", "hello", "apps/v1")
        space.api.merge(path, {"spec": {"replicas": 7, "template": {"spec": {"terminationGracePeriodSeconds": 1}}}})

        def mended():
            spec = space.deployment("hello")["spec"]
            return spec["replicas"] == 2 and spec["template"]["spec"]["terminationGracePeriodSeconds"] == 50

        eventually(mended, "both fields come back")

    @pytest.mark.parametrize(("kind", "group"), PARTS)
    def test_a_deleted_object_comes_back(self, operators, space, kind, group):
        operators.lead()
        space.agent("hello")
        eventually(lambda: space.made("hello") and owned(space, kind, group), "the agent is made")
        gone = owned(space, kind, group)[0]["metadata"]
        space.api.delete(space.path(kind, gone["name"], group))

        def back():
            return [each for each in owned(space, kind, group) if each["metadata"]["uid"] != gone["uid"]]

        eventually(back, f"one of {kind} comes back")

    def test_what_no_watch_told_is_mended_now_and_then(self, operators, space):
        operators.lead(MCP_OPERATOR_RESYNC_SECONDS="1")
        space.agent("hello")
        eventually(lambda: space.made("hello"), "the agent is made")
        # Without its label no watch of the operator's sees the object.
        path = space.path("serviceaccounts", "hello")
        space.api.merge(path, {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}})

        def mended():
            return space.api.get(path)["metadata"]["labels"].get("app.kubernetes.io/managed-by") == "slipway-operator"

        eventually(mended, "the label comes back")


def test_an_object_of_somebody_else_s_is_left_alone(operators, space):
    metadata = {"name": "hello", "namespace": space.name}
    space.api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    operators.lead()
    space.agent("hello")
    condition = eventually(lambda: space.condition("hello", "Available"), "the status is told")
    assert condition["reason"] == "ObjectInTheWay"
    assert condition["message"] == (
        "There is a ServiceAccount hello already, which is not this agent's: rename one of them."
    )
    assert "ownerReferences" not in space.api.get(space.path("serviceaccounts", "hello"))["metadata"]
    assert space.deployment("hello") is None


def test_a_quota_that_refuses_pods_is_told(operators, space):
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few", "namespace": space.name}}
    space.api.apply({**quota, "spec": {"hard": {"pods": "1"}}})
    operators.lead()
    space.agent("hello", replicas=3)
    condition = eventually(
        lambda: (
            space.condition("hello", "Available").get("reason") == "QuotaExceeded"
            and space.condition("hello", "Available")
        ),
        "the quota is told",
    )
    assert condition["message"].startswith("Ready pods: 0 of 3. The cluster refuses more:")
    assert "exceeded quota: few" in condition["message"]


class TestConfiguration:
    def test_another_capability_is_another_map_and_another_revision(self, operators, space):
        operators.lead()
        space.agent("hello")
        eventually(lambda: space.made("hello"), "the agent is made")

        def mounted():
            return space.deployment("hello")["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"]

        before = mounted()
        space.agent("hello", capabilities=[{"name": "farewell"}])
        eventually(lambda: mounted() != before, "the pods mount another map")
        data = space.api.get(space.path("configmaps", mounted()))["data"]
        assert "farewell" in data["agent-config.yaml"]

    def test_the_map_of_before_stays_until_no_pod_can_start_from_it(self, operators, space):
        operators.lead()
        space.agent("hello", replicas=0)
        eventually(lambda: space.made("hello"), "the agent is made")
        space.agent("hello", replicas=0, capabilities=[{"name": "farewell"}])
        eventually(lambda: len(owned(space, "configmaps")) == 1 and space.made("hello"), "the map of before goes")


class TestRegistry:
    def test_what_is_registered_is_in_the_status(self, operators, space, registry):
        registry.register("hello", space.name)
        registry.register("hello", "another-namespace", replica="two")
        operators.lead(MCP_MESH_REGISTRY_URL=registry.url, MCP_OPERATOR_REGISTRY_TOKEN=TOKEN)
        space.agent("hello")
        eventually(lambda: space.status("hello").get("endpoints"), "the endpoints are told")
        assert space.status("hello")["endpoints"] == ["http://127.0.0.1:9"]
        assert space.status("hello")["tools"] == ["greeting"]
        assert space.condition("hello", "Registered")["status"] == "True"

    def test_an_agent_that_goes_is_deregistered(self, operators, space, registry):
        registry.register("hello", space.name)
        registry.register("hello", "another-namespace", replica="two")
        operators.lead(MCP_MESH_REGISTRY_URL=registry.url, MCP_OPERATOR_REGISTRY_TOKEN=TOKEN)
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
        registry.register("hello", space.name)
        operators.lead(MCP_MESH_REGISTRY_URL=registry.url, MCP_OPERATOR_REGISTRY_TOKEN=TOKEN)
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

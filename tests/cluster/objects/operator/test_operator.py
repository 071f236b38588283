"""The operator on a real API server, under its real account: what it makes, mends, tells and takes away."""

import pytest

from .conftest import PARTS, Operators, eventually, owned

pytestmark = pytest.mark.usefixtures("leader")


@pytest.fixture(scope="module")
def leader(account, tmp_path_factory):
    """One operator for all tests of this file."""
    made = Operators(account, tmp_path_factory.mktemp("leader"))
    try:
        yield made.lead()
    finally:
        made.end()


def test_an_agent_becomes_its_objects(space):
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


def test_its_status_says_what_is(space):
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


def test_people_are_told_by_events(space):
    space.agent("hello")

    eventually(lambda: space.events() == [("Normal", "RollingOut")], "an event is written")


def test_its_account_is_never_refused_anything(leader, space):
    refused = r'slipway_operator_api_calls_total\{.*status="403"'
    before = leader.metric(refused)
    space.agent("hello", autoscaling={}, serviceMonitor=True)
    eventually(lambda: space.made("hello"), "the agent is made")
    space.agent("hello")
    eventually(lambda: space.autoscaler("hello") is None, "the autoscaler goes")
    space.api.delete(space.agent_path("hello"))
    eventually(lambda: space.api.get(space.agent_path("hello")) is None, "the agent goes")
    assert leader.metric(refused) == before
    assert "is forbidden" not in leader.log.read_text()


class TestScaling:
    def test_an_autoscaler_that_is_not_wanted_goes_and_the_number_of_pods_comes_back(self, space):
        space.agent("hello", replicas=3, autoscaling={"minReplicas": 5, "maxReplicas": 6})
        eventually(lambda: (space.deployment("hello") or {}).get("status", {}).get("replicas") == 5, "it scales up")
        space.agent("hello", replicas=3)
        eventually(lambda: space.autoscaler("hello") is None, "the autoscaler goes")
        eventually(lambda: space.deployment("hello")["spec"]["replicas"] == 3, "three pods are wanted again")

    def test_a_new_autoscaler_finds_the_pods_that_there_were(self, space):
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

    def test_the_scale_subresource_scales_an_agent(self, space):
        space.agent("hello")
        eventually(lambda: space.made("hello"), "the agent is made")
        path = f"{space.agent_path('hello')}/scale"
        space.api.merge(path, {"spec": {"replicas": 6}})
        eventually(lambda: space.deployment("hello")["spec"]["replicas"] == 6, "six pods are wanted")
        scale = eventually(
            lambda: (found := space.api.get(path))["status"]["replicas"] == 6 and found, "six pods are counted"
        )
        # By this selector an autoscaler of somebody's own finds the pods.
        assert scale["status"]["selector"] == "app.kubernetes.io/name=hello,app.kubernetes.io/component=agent"


class TestDrift:
    def test_a_changed_field_comes_back(self, space):
        space.agent("hello", replicas=2)
        eventually(lambda: space.made("hello"), "the agent is made")
        path = space.path("deployments", "hello", "apps/v1")
        space.api.merge(path, {"spec": {"replicas": 7, "template": {"spec": {"terminationGracePeriodSeconds": 1}}}})

        def mended():
            spec = space.deployment("hello")["spec"]
            return spec["replicas"] == 2 and spec["template"]["spec"]["terminationGracePeriodSeconds"] == 50

        eventually(mended, "both fields come back")

    @pytest.mark.parametrize(("kind", "group"), PARTS)
    def test_a_deleted_object_comes_back(self, space, kind, group):
        space.agent("hello")
        eventually(lambda: space.made("hello") and owned(space, kind, group), "the agent is made")
        gone = owned(space, kind, group)[0]["metadata"]
        space.api.delete(space.path(kind, gone["name"], group))

        def back():
            return [each for each in owned(space, kind, group) if each["metadata"]["uid"] != gone["uid"]]

        eventually(back, f"one of {kind} comes back")


def test_an_object_of_somebody_else_s_is_left_alone(space):
    metadata = {"name": "hello", "namespace": space.name}
    space.api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    space.agent("hello")
    condition = eventually(lambda: space.condition("hello", "Available"), "the status is told")
    assert condition["reason"] == "ObjectInTheWay"
    assert condition["message"] == (
        "There is a ServiceAccount hello already, which is not this agent's: rename one of them."
    )
    assert "ownerReferences" not in space.api.get(space.path("serviceaccounts", "hello"))["metadata"]
    assert space.deployment("hello") is None


def test_an_image_that_cannot_be_pulled_is_told(space):
    space.agent("hello", image="shop/agent:2")
    [pod] = eventually(lambda: space.api.items(space.path("pods")), "there is a pod")
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "shop/agent:2 not found"}}
    container = {"name": "agent", "image": "shop/agent:2", "imageID": "", "ready": False, "restartCount": 0}
    told = {"status": {"containerStatuses": [{**container, "state": waiting}]}}
    # As its node would say it.
    space.api.merge(f"{space.path('pods', pod['metadata']['name'])}/status", told)
    condition = eventually(
        lambda: (found := space.condition("hello", "Available")).get("reason") == "ImageNotPulled" and found,
        "the image is told",
    )
    assert condition["message"] == (
        "Ready pods: 0 of 1. The image 'shop/agent:2' cannot be pulled by the pod "
        f"{pod['metadata']['name']}: shop/agent:2 not found"
    )
    eventually(lambda: ("Warning", "ImageNotPulled") in space.events(), "an event is written")


def test_what_the_cluster_refuses_is_told(space):
    limits = {"limits": [{"type": "Container", "max": {"memory": "100Mi"}}]}
    metadata = {"name": "little", "namespace": space.name}
    space.api.apply({"apiVersion": "v1", "kind": "LimitRange", "metadata": metadata, "spec": limits})
    space.agent("hello")
    condition = eventually(
        lambda: (found := space.condition("hello", "Available")).get("reason") == "PodsRefused" and found,
        "the refusal is told",
    )
    assert "maximum memory usage per Container is 100Mi" in condition["message"]


def test_a_quota_that_refuses_pods_is_told(space):
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few", "namespace": space.name}}
    space.api.apply({**quota, "spec": {"hard": {"pods": "1"}}})
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
    def test_another_capability_is_another_map_and_another_revision(self, space):
        space.agent("hello")
        eventually(lambda: space.made("hello"), "the agent is made")

        def mounted():
            return space.deployment("hello")["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"]

        before = mounted()
        space.agent("hello", capabilities=[{"name": "farewell"}])
        eventually(lambda: mounted() != before, "the pods mount another map")
        data = space.api.get(space.path("configmaps", mounted()))["data"]
        assert "farewell" in data["agent-config.yaml"]

    def test_the_map_of_before_stays_until_no_pod_can_start_from_it(self, space):
        space.agent("hello", replicas=0)
        eventually(lambda: space.made("hello"), "the agent is made")
        space.agent("hello", replicas=0, capabilities=[{"name": "farewell"}])
        eventually(lambda: len(owned(space, "configmaps")) == 1 and space.made("hello"), "the map of before goes")

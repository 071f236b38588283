"""What is news and what is not."""

from app.operator.seen import News, Seen


def agent(version):
    return {
        "metadata": {"name": "hello", "namespace": "mesh", "uid": "u", "resourceVersion": str(version)},
        "spec": {"replicas": version},
    }


def deployment(version, *, replicas=1, ready=0, by_hand=False):
    owner = {"apiVersion": "mesh.mcp.io/v1", "kind": "MCPAgent", "name": "hello", "uid": "u"}
    manager = "kubectl" if by_hand else "slipway-operator"
    fields = {"manager": manager, "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}}
    metadata = {"name": "hello", "namespace": "mesh", "resourceVersion": str(version), "ownerReferences": [owner]}
    return {
        "metadata": {**metadata, "managedFields": [fields]},
        "spec": {"replicas": replicas, "paused": False},
        "status": {"readyReplicas": ready},
    }


KEY = ("mesh", "hello")


def test_an_agent_is_news_once_and_never_when_it_is_older():
    seen = Seen()
    assert seen.agent(agent(2))
    assert not seen.agent(agent(2))
    assert not seen.agent(agent(1))
    assert seen.agents[KEY]["spec"] == {"replicas": 2}


def test_how_far_a_rollout_is_and_what_was_changed_are_told_apart():
    seen = Seen()
    assert seen.part(deployment(1), "Deployment") == (KEY, News.SUBSTANCE)
    assert seen.part(deployment(2, ready=1), "Deployment") == (KEY, News.STATUS)
    assert seen.part(deployment(3, ready=1), "Deployment") == (KEY, News.NOTHING)
    assert seen.part(deployment(4, ready=1, replicas=3), "Deployment") == (KEY, News.SUBSTANCE)
    assert seen.part(deployment(5, ready=1, replicas=3, by_hand=True), "Deployment") == (KEY, News.SUBSTANCE)
    assert not seen.deployment(KEY).claims_replicas


def test_what_no_agent_owns_is_nobodys():
    body = deployment(1)
    del body["metadata"]["ownerReferences"]
    assert Seen().part(body, "Deployment") is None

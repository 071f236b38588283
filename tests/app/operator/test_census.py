"""Counting everything anew: what the watches missed is found, and what they told later than the list is kept."""

from urllib.parse import unquote

import pytest

from app.kubernetes import ApiError
from app.operator.census import Census
from app.operator.seen import Seen

KEY = ("mesh", "hello")
PART = ("Service", "hello")


def agent(version, name="hello", namespace="mesh", **spec):
    metadata = {"name": name, "namespace": namespace, "uid": "u", "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": spec}


def service(version, name="hello", namespace="mesh", port=80):
    owner = {"apiVersion": "mesh.mcp.io/v1", "kind": "MCPAgent", "name": "hello", "uid": "u"}
    fields = {"manager": "slipway-operator", "operation": "Apply", "fieldsV1": {"f:spec": {"f:port": {}}}}
    metadata = {"name": name, "namespace": namespace, "resourceVersion": str(version), "ownerReferences": [owner]}
    return {"metadata": {**metadata, "managedFields": [fields]}, "spec": {"port": port}}


class FakeKube:
    """Answers lists from what it was given, in pages of one object."""

    def __init__(self, version="100", agents=(), services=(), forgets=0):
        self.lists = {"mcpagents": list(agents), "services": list(services)}
        self.version, self.forgets = version, forgets
        self.asked = []
        self.absent = ("servicemonitors",)

    async def request(self, _method, path, *, query):
        self.asked.append(unquote(path))
        plural = path.rpartition("/")[2]
        if plural in self.absent:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        namespace = path.split("/namespaces/")[1].split("/")[0] if "/namespaces/" in path else None
        found = [each for each in self.lists.get(plural, []) if namespace in (None, each["metadata"]["namespace"])]
        first = int(query.get("continue", 0))
        if first and self.forgets:
            self.forgets -= 1
            raise ApiError(410, "Expired", "the provided continue parameter is too old")
        more = {"continue": str(first + 1)} if first + 1 < len(found) else {}
        return {"metadata": {"resourceVersion": self.version, **more}, "items": found[first : first + 1]}


def known(version=50):
    seen = Seen()
    seen.agent(agent(version))
    seen.part(service(version), "Service")
    return seen


async def count(kube, seen, *namespaces):
    return await Census(kube, seen, namespaces).take()


async def test_where_nothing_was_missed_nothing_is_looked_at():
    seen = known()
    assert await count(FakeKube(agents=[agent(50)], services=[service(50)]), seen) == set()
    assert PART in seen.owned(KEY)


async def test_an_agent_that_nobody_told_of_is_found_on_any_page():
    seen = Seen()
    agents = [agent(index, name=f"agent-{index}") for index in range(3)]
    assert await count(FakeKube(agents=agents), seen) == {("mesh", f"agent-{index}") for index in range(3)}


async def test_an_agent_that_went_unseen_is_forgotten():
    seen = known()
    assert await count(FakeKube(services=[service(50)]), seen) == {KEY}
    assert KEY not in seen.agents


async def test_an_object_that_was_changed_or_deleted_unseen_is_looked_at():
    seen = known()
    assert await count(FakeKube(agents=[agent(50)], services=[service(60, port=81)]), seen) == {KEY}
    assert await count(FakeKube(agents=[agent(50)]), seen) == {KEY}
    assert PART not in seen.owned(KEY)


async def test_what_was_made_after_the_list_is_kept():
    seen = known(version=101)
    assert await count(FakeKube(version="100"), seen) == set()
    assert KEY in seen.agents
    assert PART in seen.owned(KEY)


async def test_a_list_that_is_forgotten_meanwhile_is_begun_again():
    seen = Seen()
    kube = FakeKube(agents=[agent(1, name="a"), agent(2, name="b")], forgets=2)
    assert await count(kube, seen) == {("mesh", "a"), ("mesh", "b")}
    with pytest.raises(ApiError):
        await count(FakeKube(agents=[agent(1, name="a"), agent(2, name="b")], forgets=9), Seen())


async def test_only_the_namespaces_that_it_works_for_are_asked_and_forgotten():
    seen = known()
    seen.agent(agent(50, name="other", namespace="team-b"))
    kube = FakeKube(agents=[agent(50)], services=[service(50)])
    assert await count(kube, seen, "mesh") == set()
    assert ("team-b", "other") in seen.agents
    assert all("/namespaces/mesh/" in path for path in kube.asked)


async def test_a_kind_that_the_cluster_has_got_is_made_for_those_who_wait_for_it():
    seen, kube = known(), FakeKube(agents=[agent(50)], services=[service(50)])
    assert await count(kube, seen) == set()
    assert seen.missing == {"ServiceMonitor"}
    kube.absent = ()
    assert await count(kube, seen) == {KEY}
    assert seen.missing == set()
    assert await count(kube, seen) == set()


async def test_a_thousand_agents_cost_a_list_a_kind():
    kube = FakeKube()
    await count(kube, Seen())
    assert len(kube.asked) == 9

"""What an agent's status says, and what of it people are told as events."""

import msgspec

from app.operator.directory import Ability, Registered
from app.operator.model import Agent
from app.operator.status import Observed, Refused, refused_status, status_of, told_by
from app.operator.troubles import Trouble

AGENT = Agent.read(
    {
        "metadata": {"name": "hello", "namespace": "mesh", "uid": "u", "generation": 4},
        "spec": {"capabilities": [], "replicas": 2},
    }
)
READY = {"observedGeneration": 7, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2}
WHOLE = Observed(deployment=READY, generation=7, desired=2, registered=())


def status(before=None, *, now="2026-01-01T00:00:00Z", **seen):
    return status_of(AGENT, msgspec.structs.replace(WHOLE, **seen), before or {}, now=now)


def condition(found, kind):
    return next(each for each in found["conditions"] if each["type"] == kind)


def reasons(found):
    return {each["type"]: each["reason"] for each in found["conditions"]}


def test_an_agent_whose_pods_are_all_ready_is_available_and_complete():
    found = status()
    assert (found["replicas"], found["readyReplicas"], found["observedGeneration"]) == (2, 2, 4)
    assert reasons(found) == {"Available": "PodsReady", "Progressing": "Complete", "Registered": "NotRegistered"}


def test_a_deployment_that_has_not_been_looked_at_yet_is_not_complete():
    assert reasons(status(generation=8))["Progressing"] == "RollingOut"


def test_old_pods_beside_new_ones_are_not_complete():
    assert reasons(status(deployment={**READY, "replicas": 3}))["Progressing"] == "RollingOut"


def test_why_no_pod_is_ready_is_told_in_both_conditions():
    found = status(deployment={**READY, "readyReplicas": 0}, trouble=Trouble("ImageNotPulled", "It cannot be pulled."))
    assert condition(found, "Available")["reason"] == "ImageNotPulled"
    assert condition(found, "Available")["message"] == "Ready pods: 0 of 2. It cannot be pulled."
    assert condition(found, "Progressing")["message"] == "Pods up to date: 2 of 2, ready: 0. It cannot be pulled."


def test_pods_that_are_ready_make_it_available_whatever_ails_the_others():
    found = status(deployment={**READY, "readyReplicas": 1}, trouble=Trouble("PodCrashes", "It ended."))
    assert reasons(found)["Available"] == "PodsReady"
    assert condition(found, "Progressing")["message"].endswith("It ended.")


def test_a_rollout_that_stands_still_says_why_where_that_is_known():
    stuck = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}
    deployment = {**READY, "readyReplicas": 0, "conditions": [stuck]}
    assert condition(status(deployment=deployment), "Progressing")["message"] == "The rollout stands still: timed out"
    known = status(deployment=deployment, trouble=Trouble("PodCrashes", "It ended."))
    assert condition(known, "Progressing")["message"] == "The rollout stands still: It ended."


def test_scaled_to_nothing_is_no_fault():
    assert reasons(status(desired=0, deployment={"observedGeneration": 7}))["Available"] == "ScaledToZero"


def replica(number, state="healthy", tool="greeting"):
    return Registered(
        id=f"r{number}", name="hello", endpoint=f"http://10.0.0.{number}", state=state, capabilities=(Ability(tool),)
    )


def test_what_the_registry_lists_is_in_the_status_once_and_in_order():
    found = status(registered=(replica(2), replica(1), replica(1, tool="sum")))
    assert found["endpoints"] == ["http://10.0.0.1", "http://10.0.0.2"]
    assert found["tools"] == ["greeting", "sum"]
    assert reasons(found)["Registered"] == "Registered"


def test_fewer_registered_than_ready_and_none_heard_are_told_apart():
    assert reasons(status(registered=(replica(1),)))["Registered"] == "PartlyRegistered"
    assert reasons(status(registered=(replica(1, "degraded"),)))["Registered"] == "Degraded"


def test_a_registry_that_does_not_answer_takes_nothing_from_the_status():
    before = status(registered=(replica(1),))
    found = status(before, registered=None, registry_away="http://registry cannot be reached")
    assert found["endpoints"] == ["http://10.0.0.1"]
    assert reasons(found)["Registered"] == "RegistryAway"


def test_the_time_of_a_condition_is_when_it_turned():
    before = status(now="2026-01-01T00:00:00Z")
    later = status(before, now="2026-02-02T00:00:00Z", deployment={**READY, "readyReplicas": 0})
    assert condition(later, "Available")["lastTransitionTime"] == "2026-02-02T00:00:00Z"
    assert condition(later, "Registered")["lastTransitionTime"] == "2026-01-01T00:00:00Z"


def test_the_same_observations_give_the_same_status():
    before = status()
    assert status(before, now="2026-02-02T00:00:00Z") == before


def test_a_spec_that_cannot_be_read_leaves_what_runs_in_the_status():
    found = refused_status(5, Refused("InvalidSpec", "spec.port is wrong"), status(), now="2026-02-02T00:00:00Z")
    assert (found["replicas"], found["observedGeneration"]) == (2, 5)
    assert reasons(found) == {"Available": "InvalidSpec", "Progressing": "Complete", "Registered": "NotRegistered"}


def test_how_every_agent_begins_is_no_news():
    beginning = status(deployment={}, registered=())
    assert [(reason, kind) for reason, _, kind in told_by({}, beginning)] == [("RollingOut", "Normal")]


def test_what_turned_is_told_as_good_news_or_as_a_warning():
    whole, broken = status(), status(deployment={**READY, "readyReplicas": 0})
    assert [(reason, kind) for reason, _, kind in told_by(whole, broken)] == [
        ("NoReadyPods", "Warning"),
        ("RollingOut", "Normal"),
    ]
    assert {kind for _, _, kind in told_by(broken, whole)} == {"Normal"}
    assert told_by(whole, whole) == []


def test_a_refusal_at_the_very_beginning_is_told():
    refused = status(deployment=None, refused=Refused("ObjectInTheWay", "There is one already."))
    assert ("ObjectInTheWay", "There is one already.", "Warning") in told_by({}, refused)

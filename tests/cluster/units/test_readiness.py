"""When the stand-in for the kubernetes plugin takes an object for ready, and what it says while it does not."""

from types import SimpleNamespace

import pytest
from engine.plugins.kube import readiness


def cluster(*listed, got=None):
    return SimpleNamespace(select=lambda *_: list(listed), get=lambda *_: got)


def thing(api_version, kind, *, spec=None, status=None, annotations=None):
    metadata = {"name": "it", "namespace": "here", "generation": 2, "annotations": annotations or {}}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec or {}, "status": status}


def lacks(found, *listed, got=None):
    return readiness.missing(cluster(*listed, got=got), found)


WORKLOAD = {"replicas": 2, "selector": {"matchLabels": {"app": "it"}}}
ROLLED_OUT = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}


def test_a_deployment_is_ready_when_all_pods_are_new_and_available():
    assert lacks(thing("apps/v1", "Deployment", spec=WORKLOAD, status=ROLLED_OUT)) is None


@pytest.mark.parametrize(
    "status",
    [
        None,
        {**ROLLED_OUT, "observedGeneration": 1},
        {**ROLLED_OUT, "updatedReplicas": 1},
        {**ROLLED_OUT, "availableReplicas": 1},
        {**ROLLED_OUT, "replicas": 3},
    ],
)
def test_a_deployment_is_not_ready_while_it_rolls_out(status):
    assert lacks(thing("apps/v1", "Deployment", spec=WORKLOAD, status=status))


def test_a_deployment_that_is_waited_for_says_what_is_the_matter_with_its_pods():
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
    pod = {"metadata": {"name": "it-1"}, "status": {"containerStatuses": [waiting]}}

    found = thing("apps/v1", "Deployment", spec=WORKLOAD, status={**ROLLED_OUT, "availableReplicas": 0})
    assert "it-1: ImagePullBackOff no such image" in lacks(found, pod)


def test_a_deployment_past_its_deadline_is_not_waited_for():
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too late"}

    with pytest.raises(readiness.NeverReady, match="too late"):
        lacks(thing("apps/v1", "Deployment", spec=WORKLOAD, status={**ROLLED_OUT, "conditions": [late]}))


def test_a_stateful_set_is_ready_when_every_pod_is_of_the_new_revision_and_ready():
    status = {"observedGeneration": 2, "replicas": 2, "readyReplicas": 2, "updateRevision": "b", "currentRevision": "b"}
    assert lacks(thing("apps/v1", "StatefulSet", spec=WORKLOAD, status=status)) is None
    assert lacks(thing("apps/v1", "StatefulSet", spec=WORKLOAD, status={**status, "currentRevision": "a"}))
    assert lacks(thing("apps/v1", "StatefulSet", spec=WORKLOAD, status={**status, "readyReplicas": 1}))


def test_a_stateful_set_that_is_updated_by_hand_needs_no_new_revision():
    status = {"observedGeneration": 2, "replicas": 2, "readyReplicas": 2, "updateRevision": "b", "currentRevision": "a"}
    spec = {**WORKLOAD, "updateStrategy": {"type": "OnDelete"}}
    assert lacks(thing("apps/v1", "StatefulSet", spec=spec, status=status)) is None


def test_a_daemon_set_is_ready_when_it_runs_anew_on_every_node():
    status = {"observedGeneration": 2, "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberReady": 3}
    assert lacks(thing("apps/v1", "DaemonSet", spec=WORKLOAD, status=status)) is None
    assert lacks(thing("apps/v1", "DaemonSet", spec=WORKLOAD, status={**status, "updatedNumberScheduled": 2}))
    assert lacks(thing("apps/v1", "DaemonSet", spec=WORKLOAD, status={**status, "numberReady": 2}))


def test_a_job_is_ready_when_it_is_complete_and_lost_when_it_failed():
    def job(kind):
        return thing("batch/v1", "Job", spec=WORKLOAD, status={"conditions": [{"type": kind, "status": "True"}]})

    assert lacks(job("Complete")) is None
    assert lacks(thing("batch/v1", "Job", spec=WORKLOAD))
    with pytest.raises(readiness.NeverReady):
        lacks(job("Failed"))


def test_a_service_is_ready_when_a_ready_pod_is_behind_it():
    service = thing("v1", "Service", spec={"selector": {"app": "it"}, "clusterIP": "10.0.0.1"})
    assert lacks(service, {"endpoints": [{"conditions": {"ready": True}}]}) is None
    assert lacks(service, {"endpoints": [{"conditions": {"ready": False}}]})
    assert lacks(service)


@pytest.mark.parametrize(
    "spec", [{"type": "ExternalName"}, {"clusterIP": "None", "selector": {"app": "it"}}, {"clusterIP": "10.0.0.1"}]
)
def test_a_service_that_cannot_have_endpoints_of_its_own_is_ready_at_once(spec):
    assert lacks(thing("v1", "Service", spec=spec)) is None


@pytest.mark.parametrize("kind", [("networking.k8s.io/v1", "Ingress"), ("v1", "Service")])
def test_what_is_reached_from_outside_needs_an_address(kind):
    spec = {"type": "LoadBalancer"}
    addressed = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    assert lacks(thing(*kind, spec=spec))
    assert lacks(thing(*kind, spec=spec, status=addressed)) is None


def test_a_claim_is_not_waited_for_where_volumes_are_made_for_the_first_pod():
    claim = thing("v1", "PersistentVolumeClaim", spec={"storageClassName": "late"}, status={"phase": "Pending"})
    assert lacks(claim, got={"volumeBindingMode": "WaitForFirstConsumer"}) is None
    assert lacks(claim, got={"volumeBindingMode": "Immediate"})


def test_a_fresh_definition_whose_conditions_are_null_is_waited_for():
    definition = thing("apiextensions.k8s.io/v1", "CustomResourceDefinition", status={"conditions": None})
    assert lacks(definition)


@pytest.mark.parametrize("text", ["condition=Ready", '["condition=Ready", "jsonpath={.status.phase}=Good"]'])
def test_any_object_can_be_waited_for_by_its_annotation(text):
    def certificate(status):
        return thing("cert-manager.io/v1", "Certificate", status=status, annotations={readiness.WAIT_FOR: text})

    ready = {"conditions": [{"type": "Ready", "status": "True"}], "phase": "Good"}
    assert lacks(certificate(ready)) is None
    assert "pending" in (
        lacks(certificate({"conditions": [{"type": "Ready", "status": "False", "reason": "pending", "message": "…"}]}))
        or ""
    )
    assert lacks(certificate(None))


def test_a_wish_that_nobody_understands_is_not_waited_for():
    with pytest.raises(readiness.NeverReady, match="understood by nobody"):
        lacks(thing("example.com/v1", "Anything", annotations={readiness.WAIT_FOR: "soon"}))

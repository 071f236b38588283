"""What people are told when pods do not become ready."""

import pytest

from app.operator.troubles import trouble_of


def pod(state=None, *, name="hello-1", ready=False, conditions=(), **container):
    told = [{"type": "Ready", "status": str(ready)}, *conditions]
    containers = [] if state is None else [{"name": "agent", "image": "shop/agent:2", "state": state, **container}]
    return {"metadata": {"name": name}, "status": {"conditions": told, "containerStatuses": containers}}


def waiting(reason, message=""):
    return {"waiting": {"reason": reason, "message": message}}


@pytest.mark.parametrize(
    ("found", "reason", "message"),
    [
        (
            pod(waiting("ImagePullBackOff", "not found")),
            "ImageNotPulled",
            "The image 'shop/agent:2' cannot be pulled by the pod hello-1: not found",
        ),
        (
            pod(waiting("InvalidImageName")),
            "InvalidImage",
            "The image 'shop/agent:2' is no name of an image: correct spec.image.",
        ),
        (
            pod(waiting("CreateContainerConfigError", 'secret "keys" not found')),
            "PodNotConfigured",
            'The pod hello-1 cannot start: secret "keys" not found',
        ),
        (
            pod(
                waiting("CrashLoopBackOff"),
                lastState={"terminated": {"reason": "Error", "exitCode": 2}},
                restartCount=4,
            ),
            "PodCrashes",
            "The pod hello-1 ended (exit status 2) and was started again 4 times: kubectl logs --previous hello-1",
        ),
        (
            pod({"terminated": {"reason": "OOMKilled", "exitCode": 137}}),
            "PodCrashes",
            (
                "The pod hello-1 ended (it used more memory than its limit) and was started again 0 times: "
                "kubectl logs --previous hello-1"
            ),
        ),
        (
            pod(conditions=[{"type": "PodScheduled", "status": "False", "message": "0/3 nodes: too little cpu"}]),
            "PodNotScheduled",
            "No node takes the pod hello-1: 0/3 nodes: too little cpu",
        ),
        (
            pod({"running": {}}, ready=False),
            "PodNotReady",
            "The pod hello-1 runs, but does not answer /ready with 200: kubectl logs hello-1",
        ),
    ],
)
def test_each_trouble_is_a_word_and_a_sentence_that_says_what_to_do(found, reason, message):
    assert trouble_of([found]) == (reason, message)


def test_the_trouble_that_needs_people_the_most_is_told():
    found = [pod({"running": {}}, name="one"), pod(waiting("ErrImagePull"), name="two")]
    assert trouble_of(found).reason == "ImageNotPulled"


@pytest.mark.parametrize(
    "found",
    [
        pod({"running": {}}, ready=True),
        pod(waiting("ContainerCreating")),
        pod(waiting("PodInitializing")),
        pod(),
        {**pod(waiting("ErrImagePull")), "metadata": {"name": "hello-1", "deletionTimestamp": "now"}},
    ],
    ids=["ready", "creating", "initializing", "just made", "going"],
)
def test_what_is_in_order_is_no_trouble(found):
    assert trouble_of([found]) is None

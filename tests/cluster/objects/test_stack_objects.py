"""Each of the seven stacks, from its first preview to its end, on a real API server: every object but no pod."""

import pytest
from engine.lifecycle import Life, wait_for
from engine.stack import STACK_FILES, stack_config

pytestmark = pytest.mark.cluster

# What holds data, and a size that it cannot be changed to in place.
LARGER = {
    "slipway:redis": {"storage": {"size": "33Gi"}},
    "slipway:mongodb": {"storage": {"size": "33Gi"}},
}


@pytest.fixture(params=sorted(STACK_FILES))
def stack_name(request) -> str:
    return request.param


@pytest.fixture
def life(stack_name, make_stack, cluster) -> Life:
    """The stack as its file says it, unchanged."""
    return Life(make_stack(stack_name, stack_config(stack_name)), cluster)


def unadmitted(cluster, namespace) -> list[str]:
    """Workloads whose pods were refused or never made."""
    found = []
    for kind in ("Deployment", "StatefulSet"):
        for workload in cluster.select("apps/v1", kind, namespace):
            labels = workload["spec"]["selector"]["matchLabels"]
            selector = ",".join(f"{key}={value}" for key, value in labels.items())
            if workload["spec"].get("replicas", 1) and not cluster.select("v1", "Pod", namespace, selector):
                found.append(f"{kind}/{workload['metadata']['name']}")
    return found


def test_a_stack_lives_from_its_preview_to_its_end(stack_name, life, cluster):
    namespace = life.stack.config["slipway:namespace"]["name"]
    life.previews_and_is_reviewed()
    life.recovers_from_an_object_in_the_way(namespace)
    life.recovers_from_a_killed_update()
    wait_for(lambda: not unadmitted(cluster, namespace), "pods", lambda: unadmitted(cluster, namespace))
    life.stays_as_it_is("right after the first one")

    done = life.takes({"slipway:observability": {"logLevel": "debug"}})
    assert {"Deployment", "StatefulSet"} & {step.partition("/")[0] for step in done.steps()}, sorted(done.steps())
    life.mends_what_a_hand_changed()
    life.stays_as_it_is("after the drift was mended")

    held = {key: value for key, value in LARGER.items() if life.stack.config.get(key, {}).get("storage")}
    if held:
        life.refuses_to_lose_data(held)
    life.leaves_nothing()

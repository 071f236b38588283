"""What guards a namespace."""

import pytest

from infra.components.namespace_guard import ContainerLimits, NamespaceGuard, NamespaceGuardArgs, Quota


@pytest.fixture
def guard(run):
    def make(**args):
        return run(lambda: NamespaceGuard("slipway", NamespaceGuardArgs(**({"namespace": "mcp"} | args))))

    return make


def test_the_restricted_standard_is_enforced_audited_and_warned_about(guard):
    labels = guard().one("Namespace").at("metadata.labels")
    for mode in ("enforce", "audit", "warn"):
        assert labels[f"pod-security.kubernetes.io/{mode}"] == "restricted"
        assert labels[f"pod-security.kubernetes.io/{mode}-version"] == "latest"


def test_another_standard_and_version_can_be_chosen(guard):
    labels = guard(pod_security="baseline", pod_security_version="v1.34").one("Namespace").at("metadata.labels")
    assert labels["pod-security.kubernetes.io/enforce"] == "baseline"
    assert labels["pod-security.kubernetes.io/enforce-version"] == "v1.34"


def test_the_output_is_the_name_of_the_namespace(guard):
    stack = guard()
    assert stack.one("Namespace").at("metadata.name") == "mcp"
    assert stack.outputs(stack.one("NamespaceGuard")) == {"namespace": "mcp"}


def test_a_namespace_of_somebody_else_is_taken_as_it_is(guard):
    stack = guard(create=False, quota=Quota(pods=10))
    assert not stack.all("Namespace")
    assert stack.one("ResourceQuota").at("metadata.namespace") == "mcp"


def test_a_protected_namespace_outlives_the_stack(guard):
    protected, free = guard(protect=True).one("Namespace"), guard().one("Namespace")
    assert (protected.protect, protected.retain_on_delete) == (True, True)
    assert (free.protect, free.retain_on_delete) == (False, False)


def test_a_quota_counts_what_it_names_and_nothing_else(guard):
    quota = Quota(
        cpu_requests="4",
        memory_requests="8Gi",
        cpu_limits="16",
        memory_limits="32Gi",
        pods=50,
        persistent_volume_claims=8,
    )
    assert guard(quota=quota).one("ResourceQuota").at("spec.hard") == {
        "requests.cpu": "4",
        "requests.memory": "8Gi",
        "limits.cpu": "16",
        "limits.memory": "32Gi",
        "pods": "50",
        "persistentvolumeclaims": "8",
    }
    assert guard(quota=Quota(pods=3)).one("ResourceQuota").at("spec.hard") == {"pods": "3"}


def test_a_container_without_figures_gets_the_defaults(guard):
    assert guard(limits=ContainerLimits()).one("LimitRange").at("spec.limits") == [
        {
            "type": "Container",
            "default": {"cpu": "500m", "memory": "512Mi"},
            "defaultRequest": {"cpu": "100m", "memory": "128Mi"},
        }
    ]


def test_a_container_may_be_held_below_a_maximum(guard):
    limits = guard(limits=ContainerLimits(max_cpu="4", max_memory="8Gi")).one("LimitRange").at("spec.limits.0")
    assert limits["max"] == {"cpu": "4", "memory": "8Gi"}


def test_without_quota_and_limits_there_are_none(guard):
    stack = guard()
    assert not stack.all("ResourceQuota")
    assert not stack.all("LimitRange")

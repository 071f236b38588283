"""Objects for Istio and Linkerd: encryption, deadlines, retries and routing by capability."""

import pytest

from infra.components.service_mesh import RetryBudget, ServiceMesh, ServiceMeshArgs


@pytest.fixture
def mesh(run):
    """`mesh(kind="istio", …)` → what it registers."""
    return lambda **given: run(lambda: ServiceMesh("mesh", ServiceMeshArgs(namespace="there", **given)))


def test_istio_refuses_what_is_not_encrypted(mesh):
    assert mesh(kind="istio").one("PeerAuthentication").at("spec") == {"mtls": {"mode": "STRICT"}}
    assert mesh(kind="istio", strict_mtls=False).all("PeerAuthentication") == []


def test_istio_sets_a_pod_aside_after_five_errors_for_thirty_seconds(mesh):
    rule = mesh(kind="istio", services=("greeter",)).one("DestinationRule")
    assert rule.at("metadata.name") == "greeter"
    assert rule.at("spec.host") == "greeter"
    outliers = rule.at("spec.trafficPolicy.outlierDetection")
    assert (outliers["consecutive5xxErrors"], outliers["baseEjectionTime"]) == (5, "30s")


def test_the_capability_header_chooses_the_agent(mesh):
    stack = mesh(kind="istio", capabilities={"greeting": "hello-world"})
    route = stack.one("VirtualService").at("spec.http.0")
    assert route["match"] == [{"headers": {"x-mcp-capability": {"exact": "greeting"}}}]
    assert route["route"] == [{"destination": {"host": "hello-world", "port": {"number": 80}}}]
    assert stack.one("VirtualService").at("spec.hosts") == ["mcp-agents"]
    assert stack.one("Service").at("metadata.name") == "mcp-agents"


def test_without_capabilities_there_is_nothing_to_route(mesh):
    stack = mesh(kind="istio", services=("web",))
    assert stack.all("VirtualService") == []
    assert stack.all("Service") == []


def test_linkerd_profiles_carry_the_full_name_and_the_retry_budget(mesh):
    profile = mesh(kind="linkerd", services=("greeter",)).one("ServiceProfile")
    assert profile.at("metadata.name") == "greeter.there.svc.cluster.local"
    assert profile.at("spec.retryBudget") == {"retryRatio": 0.2, "minRetriesPerSecond": 10, "ttl": "10s"}


def test_a_call_has_a_deadline_and_is_never_repeated_by_the_mesh(mesh):
    budget = RetryBudget(retry_ratio=0.5)
    profile = mesh(kind="linkerd", services=("greeter",), timeout="45s", retry_budget=budget).one("ServiceProfile")
    call = profile.at("spec.routes.0")
    assert call["condition"] == {"method": "POST", "pathRegex": "/mcp"}
    assert (call["timeout"], call["isRetryable"]) == ("45s", False)
    assert profile.at("spec.retryBudget.retryRatio") == 0.5


def test_a_stream_has_no_deadline(mesh):
    routes = mesh(kind="linkerd", services=("web",)).one("ServiceProfile").at("spec.routes")
    assert [route["timeout"] for route in routes if route["name"] == "mcp-stream"] == ["0s"]

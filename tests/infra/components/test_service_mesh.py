"""What Istio and Linkerd are told about the platform's Services."""

import pytest

from infra.components.service_mesh import OutlierDetection, RetryBudget, ServiceMesh, ServiceMeshArgs


@pytest.fixture
def meshed(run):
    def made(kind: str, **given):
        given = {"services": ("hello", "registry"), "capabilities": {"greeting": "hello"}, **given}
        return run(lambda: ServiceMesh("mesh", ServiceMeshArgs(namespace="agents", kind=kind, **given)))

    return made


def test_the_header_routes_a_call_to_the_agent_with_the_capability(meshed):
    routes = meshed("istio").one("VirtualService")
    assert routes.at("spec.hosts") == ["mcp-agents"]
    [route] = routes.at("spec.http")
    assert route["match"] == [{"headers": {"x-mcp-capability": {"exact": "greeting"}}}]
    assert route["route"] == [{"destination": {"host": "hello", "port": {"number": 80}}}]
    assert route["timeout"] == "30s"


def test_a_call_that_may_have_been_served_is_not_sent_again(meshed):
    [route] = meshed("istio").one("VirtualService").at("spec.http")
    assert set(route["retries"]["retryOn"].split(",")) == {"connect-failure", "refused-stream"}


def test_the_host_that_callers_name_is_there(meshed):
    stack = meshed("istio")
    service = stack.one("Service")
    assert service.object_name == "mcp-agents"
    assert service.at("spec.selector")["app.kubernetes.io/component"] == "agent"
    assert stack.outputs(stack.one("ServiceMesh")) == {"agents_url": "http://mcp-agents.agents.svc.cluster.local/mcp"}


def test_without_capabilities_nothing_is_routed_by_them(meshed):
    stack = meshed("istio", capabilities={})
    assert not stack.all("VirtualService")
    assert not stack.all("Service")


def test_a_pod_that_fails_five_times_is_set_aside_for_thirty_seconds(meshed):
    stack = meshed("istio")
    for service in ("hello", "registry"):
        rule = stack.one("DestinationRule", f"mesh-destinationrule-{service}")
        assert rule.at("spec.host") == service
        outliers = rule.at("spec.trafficPolicy.outlierDetection")
        assert (outliers["consecutive5xxErrors"], outliers["baseEjectionTime"]) == (5, "30s")
    other = meshed("istio", outlier_detection=OutlierDetection(consecutive_errors=3, ejection_time="1m"))
    outliers = other.one("DestinationRule", "mesh-destinationrule-hello").at("spec.trafficPolicy.outlierDetection")
    assert (outliers["consecutive5xxErrors"], outliers["baseEjectionTime"]) == (3, "1m")


def test_plain_text_is_refused_in_the_whole_namespace_unless_told_otherwise(meshed):
    peers = meshed("istio").one("PeerAuthentication")
    assert peers.at("spec") == {"mtls": {"mode": "STRICT"}}
    assert peers.at("metadata.namespace") == "agents"
    assert not meshed("istio", strict_mtls=False).all("PeerAuthentication")


def test_linkerd_gets_the_seeds_timeout_and_retry_budget(meshed):
    stack = meshed("linkerd")
    profile = stack.one("ServiceProfile", "mesh-serviceprofile-hello")
    assert profile.object_name == "hello.agents.svc.cluster.local"
    call = profile.at("spec.routes.0")
    assert call == {"name": "mcp-call", "condition": {"method": "POST", "pathRegex": "/mcp"}, "timeout": "30s"}
    assert profile.at("spec.retryBudget") == {"retryRatio": 0.2, "minRetriesPerSecond": 10, "ttl": "10s"}
    other = meshed("linkerd", retry_budget=RetryBudget(retry_ratio=0.1, min_retries_per_second=1, ttl="30s"))
    found = other.one("ServiceProfile", "mesh-serviceprofile-hello").at("spec.retryBudget")
    assert found == {"retryRatio": 0.1, "minRetriesPerSecond": 1, "ttl": "30s"}


def test_one_mesh_gets_nothing_of_the_other(meshed):
    istio = {each.type for each in meshed("istio").registered}
    linkerd = {each.type for each in meshed("linkerd").registered}
    assert not [kind for kind in istio if "linkerd" in kind]
    assert not [kind for kind in linkerd if "istio" in kind]

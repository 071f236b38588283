import pytest

from infra.components.exposure import Exposure, ExposureArgs, GatewayRef, Route
from infra.exposure import RateLimit

MAP = Route(name="map", service="map-server", port=80)
WAR = Route(name="war", service="war", path="/war")
ADMIN = Route(name="admin", service="mongo-express", port=8081, host="db.example.org", allow_from=("10.0.0.0/8",))


@pytest.fixture
def expose(run):
    def expose(profile="nginx", routes=(MAP,), **extra):
        args = ExposureArgs(namespace="demo", profile=profile, routes=routes, **extra)
        return run(lambda: Exposure("edge", args))

    return expose


def urls_of(stack):
    return stack.outputs(stack.one("Exposure"))["urls"]


def test_an_ingress_leads_a_host_to_its_service(expose):
    ingress = expose(host="mcp.example.org").one("Ingress")
    assert ingress.object_name == "edge"
    assert ingress.at("spec.ingressClassName") == "nginx"
    assert ingress.at("spec.rules.0.host") == "mcp.example.org"
    assert ingress.at("spec.rules.0.http.paths.0") == {
        "path": "/",
        "pathType": "Prefix",
        "backend": {"service": {"name": "map-server", "port": {"number": 80}}},
    }


def test_every_child_belongs_to_the_component(expose):
    stack = expose(profile="traefik", host="mcp.example.org", rate_limit=RateLimit(requests_per_second=5))
    parent = stack.one("Exposure").urn
    assert {resource.parent for resource in stack.registered if resource.kind != "Exposure"} == {parent}


def test_the_own_class_wins_over_the_profile(expose):
    assert expose(class_name="nginx-internal").one("Ingress").at("spec.ingressClassName") == "nginx-internal"


def test_one_ingress_serves_many_hosts(expose):
    other = Route(name="other", service="other", host="other.example.org")
    ingress = expose(host="mcp.example.org", routes=(MAP, other)).one("Ingress")
    assert [rule["host"] for rule in ingress.at("spec.rules")] == ["mcp.example.org", "other.example.org"]


def test_tls_names_the_secret_and_every_host(expose):
    other = Route(name="other", service="other", host="other.example.org")
    stack = expose(host="mcp.example.org", routes=(MAP, other), tls_secret="mcp-tls")
    assert stack.one("Ingress").at("spec.tls") == [
        {"hosts": ["mcp.example.org", "other.example.org"], "secretName": "mcp-tls"}
    ]
    assert urls_of(stack)["map"] == {
        "http": "https://mcp.example.org/mcp",
        "websocket": "wss://mcp.example.org/mcp",
        "sse": "https://mcp.example.org/sse",
    }


def test_without_tls_urls_are_plain_and_no_secret_is_named(expose):
    stack = expose(host="mcp.example.org")
    assert not stack.one("Ingress").has("spec.tls")
    assert urls_of(stack)["map"]["websocket"] == "ws://mcp.example.org/mcp"


def test_an_admin_route_has_an_ingress_of_its_own_with_its_allow_list(expose):
    stack = expose(host="mcp.example.org", routes=(MAP, ADMIN))
    shared, admin = stack.one("Ingress", "edge"), stack.one("Ingress", "edge-admin")
    key = "nginx.ingress.kubernetes.io/whitelist-source-range"
    assert key not in shared.at("metadata.annotations")
    assert admin.at("metadata.annotations")[key] == "10.0.0.0/8"
    assert [rule["host"] for rule in admin.at("spec.rules")] == ["db.example.org"]


def test_an_allow_list_for_all_holds_for_the_shared_ingress(expose):
    stack = expose(host="mcp.example.org", routes=(MAP, ADMIN), allow_from=("192.0.2.0/24",))
    key = "nginx.ingress.kubernetes.io/whitelist-source-range"
    assert stack.one("Ingress", "edge").at("metadata.annotations")[key] == "192.0.2.0/24"
    assert stack.one("Ingress", "edge-admin").at("metadata.annotations")[key] == "10.0.0.0/8"


def test_a_server_under_a_path_is_served_as_if_it_were_at_the_root(expose):
    ingress = expose(host="mcp.example.org", routes=(MAP, WAR)).one("Ingress", "edge-war")
    assert ingress.at("spec.rules.0.http.paths.0.path") == "/war(/|$)(.*)"
    annotations = ingress.at("metadata.annotations")
    assert annotations["nginx.ingress.kubernetes.io/rewrite-target"] == "/$2"
    assert annotations["nginx.ingress.kubernetes.io/session-cookie-path"] == "/war"


def test_the_older_transport_is_not_offered_under_a_path(expose):
    urls = urls_of(expose(host="mcp.example.org", routes=(MAP, WAR)))["war"]
    assert urls == {"http": "http://mcp.example.org/war/mcp", "websocket": "ws://mcp.example.org/war/mcp"}


def test_traefik_gets_middlewares_and_names_them_in_order(expose):
    stack = expose(
        profile="traefik",
        host="mcp.example.org",
        routes=(ADMIN,),
        rate_limit=RateLimit(requests_per_second=10),
    )
    assert stack.one("Middleware", "edge-admin-allow").at("spec.ipAllowList.sourceRange") == ["10.0.0.0/8"]
    assert stack.one("Middleware", "edge-admin-rate").at("spec.rateLimit") == {"average": 10, "burst": 50}
    assert stack.one("Ingress").at("metadata.annotations")["traefik.ingress.kubernetes.io/router.middlewares"] == (
        "demo-edge-admin-allow@kubernetescrd,demo-edge-admin-rate@kubernetescrd"
    )
    assert len(stack.one("Ingress").depends_on) >= 2


def test_traefik_takes_a_path_off_by_a_middleware(expose):
    stack = expose(profile="traefik", host="mcp.example.org", routes=(WAR,))
    assert stack.one("Middleware").at("spec.stripPrefix.prefixes") == ["/war"]


def test_traefik_waits_for_slow_answers(expose):
    stack = expose(profile="traefik", host="mcp.example.org", timeout_seconds=900)
    transport = stack.one("ServersTransport")
    assert transport.object_name == "edge"
    assert transport.at("spec.forwardingTimeouts.responseHeaderTimeout") == "900s"


def test_gke_gets_a_backend_config(expose):
    config = expose(profile="gce", host="mcp.example.org").one("BackendConfig")
    assert config.object_name == "edge"
    assert config.at("spec") == {
        "timeoutSec": 3600,
        "sessionAffinity": {"affinityType": "GENERATED_COOKIE", "affinityCookieTtlSec": 86400},
        "connectionDraining": {"drainingTimeoutSec": 30},
    }


@pytest.mark.parametrize("profile", ["gce", "appgw"])
def test_some_clouds_read_the_class_from_the_annotation_only(expose, profile):
    ingress = expose(profile=profile, host="mcp.example.org").one("Ingress")
    assert not ingress.has("spec.ingressClassName")
    assert "kubernetes.io/ingress.class" in ingress.at("metadata.annotations")


def test_an_alb_takes_its_certificate_from_aws(expose):
    stack = expose(profile="alb", host="mcp.example.org", certificate_arn="arn:aws:acm:eu-central-1:1:certificate/x")
    annotations = stack.one("Ingress").at("metadata.annotations")
    assert annotations["alb.ingress.kubernetes.io/certificate-arn"].startswith("arn:aws:acm:")
    assert annotations["alb.ingress.kubernetes.io/listen-ports"] == '[{"HTTP": 80}, {"HTTPS": 443}]'
    assert urls_of(stack)["map"]["http"] == "https://mcp.example.org/mcp"


def test_gateway_api_attaches_routes_to_the_gateway(expose):
    gateway = GatewayRef(name="public", namespace="gateways", section="https")
    stack = expose(
        profile="gatewayApi", host="mcp.example.org", routes=(MAP, WAR), gateway=gateway, timeout_seconds=600
    )
    route = stack.one("HTTPRoute")
    assert not stack.all("Ingress")
    assert route.at("spec.parentRefs") == [{"name": "public", "namespace": "gateways", "sectionName": "https"}]
    assert route.at("spec.hostnames") == ["mcp.example.org"]
    assert route.at("spec.rules.0.timeouts") == {"request": "600s", "backendRequest": "600s"}
    assert route.at("spec.rules.0.backendRefs") == [{"name": "map-server", "port": 80}]
    assert route.at("spec.rules.1.filters.0.urlRewrite.path") == {
        "type": "ReplacePrefixMatch",
        "replacePrefixMatch": "/",
    }


def test_gateway_api_makes_a_route_for_every_host(expose):
    other = Route(name="other", service="other", host="other.example.org")
    gateway = GatewayRef(name="public", namespace="gateways")
    stack = expose(profile="gatewayApi", host="mcp.example.org", routes=(MAP, other), gateway=gateway)
    assert sorted(route.object_name for route in stack.all("HTTPRoute")) == ["edge", "edge-other"]


def test_the_gateway_may_read_the_certificate_of_the_stack(expose):
    gateway = GatewayRef(name="public", namespace="gateways")
    stack = expose(profile="gatewayApi", host="mcp.example.org", gateway=gateway, tls_secret="mcp-tls")
    grant = stack.one("ReferenceGrant")
    assert grant.at("spec.from.0.namespace") == "gateways"
    assert grant.at("spec.to.0") == {"group": "", "kind": "Secret", "name": "mcp-tls"}


def test_a_node_port_needs_no_object_and_has_urls_of_a_node(expose):
    stack = expose(profile="nodePort", routes=(Route(name="ws", service="ws", node_port=30800), MAP))
    assert [resource.kind for resource in stack.registered] == ["Exposure"]
    assert urls_of(stack) == {
        "ws": {
            "http": "http://<node-ip>:30800/mcp",
            "websocket": "ws://<node-ip>:30800/mcp",
            "sse": "http://<node-ip>:30800/sse",
        }
    }


def test_without_exposure_urls_are_those_inside_the_cluster(expose):
    stack = expose(profile="none")
    assert [resource.kind for resource in stack.registered] == ["Exposure"]
    assert urls_of(stack)["map"]["http"] == "http://map-server.demo.svc.cluster.local:80/mcp"


def test_an_update_need_not_wait_for_an_address(expose):
    assert "pulumi.com/skipAwait" not in expose().one("Ingress").at("metadata.annotations")
    ingress = expose(wait_for_address=False).one("Ingress")
    assert ingress.at("metadata.annotations")["pulumi.com/skipAwait"] == "true"


def test_own_annotations_win_over_the_profiles(expose):
    key = "nginx.ingress.kubernetes.io/proxy-buffering"
    assert expose(annotations={key: "on"}).one("Ingress").at("metadata.annotations")[key] == "on"


def test_a_wish_that_the_profile_cannot_meet_stops_the_program(expose):
    with pytest.raises(ValueError, match=r"exposure\.bodySize: 1m: profile alb cannot do this"):
        expose(profile="alb", body_size="1m")

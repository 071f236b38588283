"""Which traffic the platform allows."""

import pytest

from infra import edge_catalogue, ports
from infra.components.network import Network, NetworkArgs
from infra.edges import Addresses, Edge, ForeignPods, Pods

WAR = Pods(name="war", selector={"app.kubernetes.io/name": "war"})
CACHE = Pods(name="cache", selector={"app.kubernetes.io/name": "cache"})


@pytest.fixture
def network(run):
    def make(*edges):
        return run(lambda: Network("slipway", NetworkArgs(namespace="mcp", edges=edges)))

    return make


def policy(stack, name):
    return stack.one("NetworkPolicy", f"slipway-{name}")


def test_without_an_edge_all_traffic_of_every_pod_is_denied(network):
    only = network().one("NetworkPolicy")
    assert only.at("metadata.namespace") == "mcp"
    assert only.at("spec") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_an_edge_between_two_pods_is_allowed_at_both_ends(network):
    stack = network(edge_catalogue.redis(WAR, CACHE))
    assert policy(stack, "war-to-cache-in").at("spec") == {
        "podSelector": {"matchLabels": CACHE.selector},
        "policyTypes": ["Ingress"],
        "ingress": [
            {
                "from": [{"podSelector": {"matchLabels": WAR.selector}}],
                "ports": [{"port": 6379, "protocol": "TCP"}],
            }
        ],
    }
    assert policy(stack, "war-to-cache-out").at("spec") == {
        "podSelector": {"matchLabels": WAR.selector},
        "policyTypes": ["Egress"],
        "egress": [
            {
                "to": [{"podSelector": {"matchLabels": CACHE.selector}}],
                "ports": [{"port": 6379, "protocol": "TCP"}],
            }
        ],
    }


def test_a_policy_says_which_edge_it_belongs_to_and_why(network):
    annotations = policy(network(edge_catalogue.redis(WAR, CACHE)), "war-to-cache-in").at("metadata.annotations")
    assert annotations == {
        "slipway.dev/edge": "war-to-cache",
        "slipway.dev/reason": "Keep sessions and state in Redis.",
    }


def test_names_depend_on_the_edge_alone_not_on_its_place_in_the_list(network):
    edges = [edge_catalogue.redis(WAR, CACHE), edge_catalogue.https_egress(WAR)]

    def names(stack):
        return {resource.at("metadata.name") for resource in stack.all("NetworkPolicy")}

    assert names(network(*edges)) == names(network(*reversed(edges)))


def test_an_end_outside_the_platform_has_no_policy(network):
    stack = network(edge_catalogue.prometheus(WAR, ports.HTTP, namespace="monitoring"))
    # The engine hears of resources in any order.
    assert sorted(resource.name for resource in stack.all("NetworkPolicy")) == [
        "slipway-default-deny",
        "slipway-prometheus-to-war-in",
    ]


def test_pods_of_another_namespace_are_found_by_its_name_and_their_labels(network):
    source = ForeignPods(name="ingress", namespace="traefik", labels={"app": "traefik"})
    edge = Edge(source=source, target=WAR, ports=(ports.HTTP,), reason="Pass on clients.")
    assert policy(network(edge), "ingress-to-war-in").at("spec.ingress.0.from") == [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "traefik"}},
            "podSelector": {"matchLabels": {"app": "traefik"}},
        }
    ]


def test_without_labels_every_pod_of_the_other_namespace_is_meant(network):
    source = ForeignPods(name="ingress", namespace="traefik")
    edge = Edge(source=source, target=WAR, ports=(ports.HTTP,), reason="Pass on clients.")
    [peer] = policy(network(edge), "ingress-to-war-in").at("spec.ingress.0.from")
    assert [*peer] == ["namespaceSelector"]


def test_without_a_namespace_every_namespace_is_meant(network):
    source = ForeignPods(name="probe", namespace=None, labels={"app": "probe"})
    edge = Edge(source=source, target=WAR, ports=(ports.HTTP,), reason="Look from anywhere.")
    [peer] = policy(network(edge), "probe-to-war-in").at("spec.ingress.0.from")
    assert peer == {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "probe"}}}


def test_every_pod_may_resolve_names_over_both_protocols(network):
    stack = network(*edge_catalogue.dns())
    spec = policy(stack, "pods-to-dns-out").at("spec")
    assert spec["podSelector"] == {}
    assert spec["egress"][0]["ports"] == [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    assert policy(stack, "pods-to-node-dns-out").at("spec.egress.0.to") == [{"ipBlock": {"cidr": "169.254.20.10/32"}}]


def test_calls_to_the_internet_never_reach_private_addresses_or_the_metadata_service(network):
    spec = policy(network(edge_catalogue.https_egress(WAR)), "war-to-internet-out").at("spec")
    [peer] = spec["egress"][0]["to"]
    assert peer["ipBlock"]["cidr"] == "0.0.0.0/0"
    assert {"10.0.0.0/8", "169.254.0.0/16"} <= {*peer["ipBlock"]["except"]}
    assert spec["egress"][0]["ports"] == [{"port": 443, "protocol": "TCP"}]


def test_an_exception_is_put_only_into_the_range_it_lies_in(network):
    target = Addresses(
        name="partners",
        cidrs=("10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32"),
        excluded=("10.9.0.0/16", "2001:db8:1::/48"),
    )
    edge = Edge(source=WAR, target=target, ports=(ports.HTTPS,), reason="Call partners.")
    assert policy(network(edge), "war-to-partners-out").at("spec.egress.0.to") == [
        {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.9.0.0/16"]}},
        {"ipBlock": {"cidr": "192.0.2.0/24"}},
        {"ipBlock": {"cidr": "2001:db8::/32", "except": ["2001:db8:1::/48"]}},
    ]


def test_everybody_means_nodes_and_pods_too(network):
    stack = network(edge_catalogue.public(WAR, ports.WEBSOCKET))
    assert policy(stack, "clients-to-war-in").at("spec.ingress") == [{"ports": [{"port": 8080, "protocol": "TCP"}]}]


def test_clients_can_be_held_to_their_addresses(network):
    stack = network(edge_catalogue.public(WAR, ports.WEBSOCKET, ("203.0.113.0/24",)))
    assert policy(stack, "clients-to-war-in").at("spec.ingress.0.from") == [{"ipBlock": {"cidr": "203.0.113.0/24"}}]


def test_the_certificate_authority_reaches_the_solver_through_the_ingress_controller(network):
    spec = policy(network(edge_catalogue.acme_solver(namespace="traefik")), "ingress-to-acme-solver-in").at("spec")
    assert spec["podSelector"] == {"matchLabels": {"acme.cert-manager.io/http01-solver": "true"}}
    assert spec["ingress"][0]["ports"] == [{"port": 8089, "protocol": "TCP"}]


def test_the_kubernetes_api_is_reached_at_its_addresses_on_either_port(network):
    stack = network(edge_catalogue.kubernetes_api(WAR, ("192.0.2.1/32",)))
    rule = policy(stack, "war-to-kubernetes-api-out").at("spec.egress.0")
    assert rule["to"] == [{"ipBlock": {"cidr": "192.0.2.1/32"}}]
    assert [port["port"] for port in rule["ports"]] == [443, 6443]


@pytest.mark.parametrize(
    ("edges", "numbers"),
    [
        ((edge_catalogue.sentinel(WAR, CACHE),), {26379}),
        ((edge_catalogue.mongodb(WAR, CACHE),), {27017}),
        ((edge_catalogue.mongodb_replication(CACHE),), {27017}),
        ((edge_catalogue.registry(WAR, CACHE),), {8000}),
        ((edge_catalogue.call(WAR, CACHE, ports.GATEWAY),), {8051}),
        ((edge_catalogue.probes(WAR, ports.MAP, nodes=("192.0.2.0/24",)),), {8081}),
        (edge_catalogue.redis_replication(CACHE, WAR), {6379, 26379}),
    ],
)
def test_an_edge_opens_the_ports_that_the_pods_use(network, edges, numbers):
    stack = network(*edges)
    rules = [
        rule
        for resource in stack.all("NetworkPolicy")
        for direction in ("ingress", "egress")
        for rule in resource.inputs["spec"].get(direction, ())
    ]
    assert {port["port"] for rule in rules for port in rule["ports"]} == numbers


def test_the_output_lists_the_edges_with_their_policies_and_ports(network):
    stack = network(edge_catalogue.redis(WAR, CACHE), edge_catalogue.https_egress(WAR))
    assert stack.outputs(stack.one("Network")) == {
        "edges": [
            {"name": "war-to-cache", "policies": ["war-to-cache-in", "war-to-cache-out"], "ports": ["6379/TCP"]},
            {"name": "war-to-internet", "policies": ["war-to-internet-out"], "ports": ["443/TCP"]},
        ]
    }


def test_two_edges_between_the_same_peers_are_refused(network):
    with pytest.raises(ValueError, match="two edges are called war-to-cache: give one peer another name"):
        network(edge_catalogue.redis(WAR, CACHE), edge_catalogue.sentinel(WAR, CACHE))


def test_an_edge_that_no_policy_can_allow_is_refused(network):
    edge = Edge(source=Addresses(name="a"), target=Addresses(name="b"), ports=(ports.HTTPS,), reason="Pass by.")
    with pytest.raises(ValueError, match="edge a-to-b has no end in the platform"):
        network(edge)


def test_an_edge_without_a_port_is_refused_because_it_would_open_all_of_them(network):
    with pytest.raises(ValueError, match="edge war-to-cache names no port"):
        network(Edge(source=WAR, target=CACHE, ports=(), reason="Anything."))


@pytest.mark.parametrize(
    ("endpoint", "peer", "port"),
    [
        ("http://otel.monitoring:4318", {"kubernetes.io/metadata.name": "monitoring"}, 4318),
        (
            "http://otel.monitoring.svc.cluster.local:4318/v1/traces",
            {"kubernetes.io/metadata.name": "monitoring"},
            4318,
        ),
        ("http://otel", None, 80),
        ("https://otlp.vendor.example.com", "anywhere", 443),
        ("http://192.0.2.7:4318", "192.0.2.7/32", 4318),
    ],
)
def test_spans_may_be_sent_to_their_collector(network, endpoint, peer, port):
    spec = policy(network(edge_catalogue.collector(WAR, endpoint)), "war-to-collector-out").at("spec")
    [rule] = spec["egress"]
    assert rule["ports"] == [{"port": port, "protocol": "TCP"}]
    if peer == "anywhere":
        assert "to" not in rule
    elif isinstance(peer, str):
        assert rule["to"] == [{"ipBlock": {"cidr": peer}}]
    else:
        assert rule["to"][0]["namespaceSelector"] == ({"matchLabels": peer} if peer else {})

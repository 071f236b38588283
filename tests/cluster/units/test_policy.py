"""What the enforcer makes of NetworkPolicies, without a kernel."""

from typing import Any

import pytest
from harness.policy import ENTRY, World, block, chain_name, chains, restore_text, selects

ESTABLISHED = "-m conntrack --ctstate ESTABLISHED,RELATED -j RETURN"


def pod(name: str, address: str, namespace: str = "a", ports: list[dict[str, Any]] | None = None, **more: Any) -> Any:
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {"containers": [{"ports": ports or []}], **more},
        "status": {"podIP": address, "phase": more.pop("phase", "Running")},
    }


def policy(namespace: str = "a", app: str | None = None, **spec: Any) -> Any:
    selector = {"matchLabels": {"app": app}} if app else {}
    return {"metadata": {"name": "p", "namespace": namespace}, "spec": {"podSelector": selector, **spec}}


def app(name: str) -> dict[str, Any]:
    return {"podSelector": {"matchLabels": {"app": name}}}


NAMED = [{"name": "http", "containerPort": 8000}]
CLIENT, SERVER = pod("client", "10.77.0.2"), pod("server", "10.77.0.3", ports=NAMED)
STRANGER = pod("client", "10.77.0.4", namespace="b")
SPACES = [{"metadata": {"name": "a"}}, {"metadata": {"name": "b", "labels": {"team": "b"}}}]


def made(*policies: Any, pods: tuple[Any, ...] = (CLIENT, SERVER, STRANGER)) -> dict[str, list[str]]:
    """The chains, by the pod's app and the direction instead of by their own names."""
    world = World.of(pods, SPACES, policies)
    names = {chain_name(known, way): f"{known.name} {way}" for known in world.pods for way in ("Ingress", "Egress")}
    return {names.get(name, name): rules for name, rules in chains(world).items()}


def test_without_a_policy_nothing_is_dropped() -> None:
    assert made() == {ENTRY: [ESTABLISHED]}


def test_a_policy_that_allows_nothing_drops_all_that_is_new_in_its_namespace_alone() -> None:
    denied = made(policy(policyTypes=["Ingress", "Egress"]))
    assert {name: rules for name, rules in denied.items() if name != ENTRY} == {
        f"{app} {way}": ["-j DROP"] for app in ("client", "server") for way in ("Egress", "Ingress")
    }
    assert denied[ENTRY][0] == ESTABLISHED
    assert [rule.rsplit(" -j", 1)[0] for rule in denied[ENTRY][1:]] == [
        "-s 10.77.0.2/32",
        "-s 10.77.0.3/32",
        "-d 10.77.0.2/32",
        "-d 10.77.0.3/32",
    ]


def test_an_allowed_peer_is_let_through_by_its_address_and_port() -> None:
    rule = {"from": [app("client")], "ports": [{"port": 8000}, {"port": 53, "protocol": "UDP"}]}
    assert made(policy(app="server", ingress=[rule])) | {ENTRY: []} == {
        ENTRY: [],
        "server Ingress": [
            "-s 10.77.0.2/32 -p tcp --dport 8000 -j RETURN",
            "-s 10.77.0.2/32 -p udp --dport 53 -j RETURN",
            "-j DROP",
        ],
    }


@pytest.mark.parametrize(
    ("peer", "addresses"),
    [
        ({"namespaceSelector": {"matchLabels": {"team": "b"}}}, ["10.77.0.4"]),
        ({"namespaceSelector": {}}, ["10.77.0.2", "10.77.0.3", "10.77.0.4"]),
        ({"namespaceSelector": {}, **app("client")}, ["10.77.0.2", "10.77.0.4"]),
        (app("client"), ["10.77.0.2"]),
        ({"podSelector": {}}, ["10.77.0.2", "10.77.0.3"]),
    ],
)
def test_a_peer_is_selected_by_its_namespace_and_its_labels(peer: dict[str, Any], addresses: list[str]) -> None:
    rules = made(policy(app="server", ingress=[{"from": [peer]}]))["server Ingress"]
    assert rules == [*(f"-s {address}/32 -j RETURN" for address in addresses), "-j DROP"]


def test_the_policies_of_a_pod_add_up_and_none_takes_away() -> None:
    allowed = policy(app="server", ingress=[{"from": [app("client")]}])
    rules = made(policy(policyTypes=["Ingress"]), allowed)["server Ingress"]
    assert rules == ["-s 10.77.0.2/32 -j RETURN", "-j DROP"]


def test_egress_is_held_on_the_side_of_the_caller() -> None:
    rule = {"to": [app("server")], "ports": [{"port": "http"}]}
    rules = made(policy(app="client", policyTypes=["Egress"], egress=[rule]))
    assert rules["client Egress"] == ["-d 10.77.0.3/32 -p tcp --dport 8000 -j RETURN", "-j DROP"]
    assert "client Ingress" not in rules


def test_a_named_port_is_the_called_pods_own_and_a_name_it_lacks_lets_nothing_in() -> None:
    assert made(policy(app="server", ingress=[{"ports": [{"port": "http"}]}]))["server Ingress"] == [
        "-p tcp --dport 8000 -j RETURN",
        "-j DROP",
    ]
    assert made(policy(app="client", ingress=[{"ports": [{"port": "http"}]}]))["client Ingress"] == ["-j DROP"]


def test_a_rule_without_peers_and_ports_allows_everybody() -> None:
    assert made(policy(app="server", ingress=[{}]))["server Ingress"] == ["-j RETURN", "-j DROP"]
    assert made(policy(app="server", egress=[{}]))["server Egress"] == ["-j RETURN", "-j DROP"]


def test_a_range_of_ports_is_one_match() -> None:
    rule = {"ports": [{"port": 8000, "endPort": 8010}]}
    rules = made(policy(app="server", ingress=[rule]))["server Ingress"]
    assert rules == ["-p tcp --dport 8000:8010 -j RETURN", "-j DROP"]


def test_a_policy_with_only_egress_rules_still_isolates_ingress_unless_it_says_which() -> None:
    assert made(policy(app="server", egress=[{}]))["server Ingress"] == ["-j DROP"]
    assert "server Ingress" not in made(policy(app="server", policyTypes=["Egress"], egress=[{}]))


def test_an_address_range_leaves_out_its_exceptions() -> None:
    assert [str(part) for part in block({"cidr": "10.0.0.0/30", "except": ["10.0.0.1/32"]})] == [
        "10.0.0.0/32",
        "10.0.0.2/31",
    ]
    assert [str(part) for part in block({"cidr": "10.0.0.0/8", "except": ["0.0.0.0/0", "192.168.0.0/16"]})] == []
    assert [str(part) for part in block({"cidr": "0.0.0.0/0"})] == ["0.0.0.0/0"]
    rule = {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["128.0.0.0/1"]}}], "ports": [{"port": 443}]}
    assert made(policy(app="client", policyTypes=["Egress"], egress=[rule]))["client Egress"] == [
        "-d 0.0.0.0/1 -p tcp --dport 443 -j RETURN",
        "-j DROP",
    ]


def test_an_ipv6_range_says_nothing_of_ipv4() -> None:
    assert block({"cidr": "fd00::/8"}) == []


@pytest.mark.parametrize(
    "gone",
    [pod("server", ""), pod("server", "10.77.0.3", phase="Succeeded"), pod("server", "10.0.0.1", hostNetwork=True)],
)
def test_a_pod_without_an_address_of_its_own_has_no_chain(gone: dict[str, Any]) -> None:
    assert made(policy(policyTypes=["Ingress"]), pods=(gone,)) == {ENTRY: [ESTABLISHED]}


@pytest.mark.parametrize(
    ("operator", "values", "expected"),
    [
        ("In", ["x", "y"], True),
        ("In", ["y"], False),
        ("NotIn", ["y"], True),
        ("NotIn", ["x"], False),
        ("Exists", None, True),
        ("DoesNotExist", None, False),
    ],
)
def test_expressions_select_as_kubernetes_says(operator: str, values: list[str] | None, *, expected: bool) -> None:
    assert (
        selects({"matchExpressions": [{"key": "app", "operator": operator, "values": values}]}, {"app": "x"})
        is expected
    )


def test_the_chains_of_pods_that_are_gone_are_removed_in_the_same_transaction() -> None:
    assert restore_text({"SLP-I-1": ["-j DROP"]}, ["SLP-I-1", "SLP-E-2"]) == (
        "*mangle\n:SLP-I-1 - [0:0]\n:SLP-E-2 - [0:0]\n-A SLP-I-1 -j DROP\n-X SLP-E-2\nCOMMIT\n"
    )

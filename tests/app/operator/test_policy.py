"""Where an agent's policy lets it reach its registry, by what the registry's address looks like."""

import pytest

from app.operator.manifests import manifests
from app.operator.model import Agent, Around

BODY = {
    "metadata": {"name": "hello", "namespace": "shop", "uid": "u1", "generation": 1},
    "spec": {"capabilities": [{"name": "greeting"}]},
}


def labels_of(peer, selector):
    return peer.get(selector, {}).get("matchLabels", {})


def registry_edges(url):
    """The egress rules beside those of DNS, as `namespace/name:port` of pods and `:port` of anywhere."""
    around = Around(image="slipway", registry_url=url, registry_namespace="mesh")
    [policy] = [each for each in manifests(Agent.read(BODY), around) if each["kind"] == "NetworkPolicy"]
    found = set()
    for rule in policy["spec"]["egress"]:
        for port in rule["ports"]:
            for peer in rule.get("to", [{}]):
                namespace = labels_of(peer, "namespaceSelector").get("kubernetes.io/metadata.name", "")
                name = labels_of(peer, "podSelector").get("app.kubernetes.io/name", "")
                found.add(f"{namespace}/{name}:{port['port']}" if name else f":{port['port']}")
    return {each for each in found if not each.endswith(":53")}


@pytest.mark.parametrize(
    ("url", "edges"),
    [
        ("http://registry", {"mesh/registry:8000"}),
        ("http://registry.mesh.svc", {"mesh/registry:8000"}),
        ("http://registry.tools.svc.cluster.local:8000", {"tools/registry:8000"}),
        ("https://agents.acme.example", {":443"}),
        ("http://10.0.0.7:9000", {":9000"}),
        # It may be a Service of another namespace, or a domain.
        ("http://registry.tools", {"tools/registry:8000", ":80"}),
    ],
)
def test_the_registry_is_reached_where_its_address_says(url, edges):
    assert registry_edges(url) == edges

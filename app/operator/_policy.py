"""Whom an agent may speak to: the edges that the platform draws for its own agents, as one policy."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from app.kubernetes import Object
from app.operator._labels import COMPONENT, PART_OF, selector, thing
from app.operator.model import Agent, Around

_NAMESPACE_NAME = "kubernetes.io/metadata.name"
_REGISTRY_PORT = 8000
_PRIVATE_RANGES: Final = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")


def network_policy(agent: Agent, around: Around) -> Object:
    """All that is not listed is refused, in both directions."""
    spec = {
        "podSelector": {"matchLabels": selector(agent.name)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [
            {"from": [_agents()], "ports": [_tcp(agent.spec.port)]},
            {"from": [_namespace(around.prometheus_namespace)], "ports": [_tcp(agent.spec.port)]},
        ],
        "egress": [*_names(), *_registry(around), *_calls(agent), *_internet(agent)],
    }
    return thing("networking.k8s.io/v1", "NetworkPolicy", agent, agent.name, spec=spec)


def _names() -> list[Object]:
    """The cluster's DNS, and the cache that many clusters run on each node."""
    ports = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    dns = {**_namespace("kube-system"), "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}
    return [{"to": [dns], "ports": ports}, {"to": [{"ipBlock": {"cidr": "169.254.20.10/32"}}], "ports": ports}]


def _registry(around: Around) -> list[Object]:
    if around.registry_url is None:
        return []
    address = urlsplit(around.registry_url)
    host = (address.hostname or "").split(".")
    outside = {"ports": [_tcp(address.port or (443 if address.scheme == "https" else 80))]}
    if len(host) > 2 and host[2] != "svc":
        # Where no label finds it.
        return [outside]
    name, namespace = host[0], host[1] if len(host) > 1 else around.registry_namespace
    pods = {**_namespace(namespace), "podSelector": {"matchLabels": selector(name, "registry")}}
    inside = {"to": [pods], "ports": [_tcp(_REGISTRY_PORT)]}
    # `name.namespace` reads like a domain of the outside.
    return [inside, outside] if len(host) == 2 else [inside]


def _calls(agent: Agent) -> list[Object]:
    """Other agents of the namespace; which of them have the capability is known to the registry alone."""
    return [{"to": [_agents()]}] if agent.spec.dependencies else []


def _internet(agent: Agent) -> list[Object]:
    if not agent.spec.internet_access:
        return []
    block = {"cidr": "0.0.0.0/0", "except": list(_PRIVATE_RANGES)}
    return [{"to": [{"ipBlock": block}], "ports": [_tcp(443)]}]


def _agents() -> Object:
    labels = {"app.kubernetes.io/component": COMPONENT, "app.kubernetes.io/part-of": PART_OF}
    return {"podSelector": {"matchLabels": labels}}


def _namespace(name: str) -> Object:
    return {"namespaceSelector": {"matchLabels": {_NAMESPACE_NAME: name}}}


def _tcp(port: int) -> Object:
    return {"port": port, "protocol": "TCP"}

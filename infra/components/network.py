"""Zero trust between pods: everything is denied, then each edge of the platform is allowed, from both ends."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network

import pulumi
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs
from pulumi_kubernetes.networking.v1 import (
    IPBlockArgs,
    NetworkPolicy,
    NetworkPolicyEgressRuleArgs,
    NetworkPolicyIngressRuleArgs,
    NetworkPolicyPeerArgs,
    NetworkPolicyPortArgs,
    NetworkPolicySpecArgs,
)

from infra import annotations, naming
from infra.component import Component
from infra.edges import Addresses, Edge, ForeignPods, Peer, Pods

COMPONENT = "network"
NAMESPACE_NAME = "kubernetes.io/metadata.name"
EVERYWHERE = ("0.0.0.0/0",)


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """Every edge of the platform; `infra.edge_catalogue` makes the usual ones."""

    namespace: pulumi.Input[str]
    edges: tuple[Edge, ...]


class Network(Component):
    """Owns every NetworkPolicy of the platform: `default-deny`, and for each edge `{edge}-in` and `{edge}-out`, on
    those of its ends that the platform runs. Output `edges`: what was declared, for checks to compare with.
    """

    edges: tuple[Edge, ...]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("network", "Network", name, opts)
        self.edges = args.edges
        _check(args.edges)
        self._policy(
            args.namespace,
            "default-deny",
            NetworkPolicySpecArgs(pod_selector=LabelSelectorArgs(), policy_types=["Ingress", "Egress"]),
            {annotations.REASON: "What no edge allows is denied."},
        )
        for edge in args.edges:
            self._edge(args.namespace, edge)
        self.finish({"edges": [declaration(edge) for edge in args.edges]})

    def _edge(self, namespace: pulumi.Input[str], edge: Edge) -> None:
        notes = {annotations.EDGE: edge.name, annotations.REASON: edge.reason}
        ports = [NetworkPolicyPortArgs(port=port.number, protocol=port.protocol) for port in edge.ports]
        if isinstance(edge.target, Pods):
            rule = NetworkPolicyIngressRuleArgs(from_=_peers(edge.source), ports=ports)
            self._policy(
                namespace,
                naming.child(edge.name, "in"),
                NetworkPolicySpecArgs(pod_selector=_pods(edge.target), policy_types=["Ingress"], ingress=[rule]),
                notes,
            )
        if isinstance(edge.source, Pods):
            rule = NetworkPolicyEgressRuleArgs(to=_peers(edge.target), ports=ports)
            self._policy(
                namespace,
                naming.child(edge.name, "out"),
                NetworkPolicySpecArgs(pod_selector=_pods(edge.source), policy_types=["Egress"], egress=[rule]),
                notes,
            )

    def _policy(
        self, namespace: pulumi.Input[str], name: str, spec: NetworkPolicySpecArgs, notes: Mapping[str, str]
    ) -> None:
        NetworkPolicy(
            naming.child(self.name, name),
            metadata=ObjectMetaArgs(
                name=name,
                namespace=namespace,
                labels=naming.labels(self.name, COMPONENT),
                annotations=dict(notes),
            ),
            spec=spec,
            opts=self.child_options(),
        )


def declaration(edge: Edge) -> dict[str, str | list[str]]:
    """An edge as plain data: its name, the ends that need a policy, and the ports that both must open."""
    return {
        "name": edge.name,
        "policies": _policies(edge),
        "ports": sorted(f"{port.number}/{port.protocol}" for port in edge.ports),
    }


def _policies(edge: Edge) -> list[str]:
    ends = {"in": edge.target, "out": edge.source}
    return [naming.child(edge.name, end) for end, peer in ends.items() if isinstance(peer, Pods)]


def _check(edges: Sequence[Edge]) -> None:
    twice = sorted(name for name, count in Counter(edge.name for edge in edges).items() if count > 1)
    if twice:
        raise ValueError(f"two edges are called {', '.join(twice)}: give one peer another name, or join their ports")
    for edge in edges:
        if not _policies(edge):
            raise ValueError(f"edge {edge.name} has no end in the platform, so no policy can allow it: remove it")
        if not edge.ports:
            raise ValueError(f"edge {edge.name} names no port, which would allow every port: name those it uses")


def _pods(peer: Pods) -> LabelSelectorArgs:
    return LabelSelectorArgs(match_labels=dict(peer.selector) or None)


def _peers(peer: Peer) -> list[NetworkPolicyPeerArgs] | None:
    """The other end of a rule. None stands for anybody: nodes too, which an address range leaves out on some CNIs."""
    if isinstance(peer, Pods):
        return [NetworkPolicyPeerArgs(pod_selector=_pods(peer))]
    if isinstance(peer, ForeignPods):
        namespace = LabelSelectorArgs(match_labels={NAMESPACE_NAME: peer.namespace} if peer.namespace else None)
        pods = LabelSelectorArgs(match_labels=dict(peer.labels)) if peer.labels else None
        return [NetworkPolicyPeerArgs(namespace_selector=namespace, pod_selector=pods)]
    if peer.cidrs == EVERYWHERE and not peer.excluded:
        return None
    return [NetworkPolicyPeerArgs(ip_block=_block(peer, cidr)) for cidr in peer.cidrs]


def _block(peer: Addresses, cidr: str) -> IPBlockArgs:
    """A range without what is excluded from it; Kubernetes refuses an exception that lies outside its range."""
    excluded = [hole for hole in peer.excluded if _within(hole, cidr)]
    return IPBlockArgs(cidr=cidr, except_=excluded or None)


def _within(inner: str, outer: str) -> bool:
    smaller, larger = ip_network(inner), ip_network(outer)
    if isinstance(smaller, IPv4Network) and isinstance(larger, IPv4Network):
        return smaller.subnet_of(larger)
    if isinstance(smaller, IPv6Network) and isinstance(larger, IPv6Network):
        return smaller.subnet_of(larger)
    return False

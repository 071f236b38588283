"""NetworkPolicy objects as iptables rules: what a policy says of a pod, in chains of that pod's own.

Nothing here touches the kernel; `enforcer.py` does. In the mangle table, for it is passed before anything is accepted,
and after a Service's address has become a pod's.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, collapse_addresses, ip_network
from typing import Any

from harness.api import Object

TABLE = "mangle"
ENTRY = "SLIPWAY-POLICY"
PREFIX = "SLP-"
DIRECTIONS = {"Ingress": ("ingress", "from"), "Egress": ("egress", "to")}


@dataclass(frozen=True)
class Pod:
    """What policies know of a pod."""

    namespace: str
    name: str
    address: str
    labels: Mapping[str, str]
    # Container ports by name and protocol.
    ports: Mapping[tuple[str, str], int]

    @classmethod
    def of(cls, manifest: Object) -> "Pod":
        meta = manifest["metadata"]
        ports = {
            (port["name"], port.get("protocol", "TCP")): port["containerPort"]
            for container in manifest["spec"]["containers"]
            for port in container.get("ports", [])
            if "name" in port
        }
        return cls(meta["namespace"], meta["name"], manifest["status"]["podIP"], meta.get("labels") or {}, ports)


@dataclass(frozen=True)
class World:
    """All that rules are made from."""

    pods: Sequence[Pod]
    # The labels of each.
    namespaces: Mapping[str, Mapping[str, str]]
    policies: Sequence[Object]

    @classmethod
    def of(cls, pods: Iterable[Object], namespaces: Iterable[Object], policies: Iterable[Object]) -> "World":
        """From the API's objects. A pod of the node's own network, or one that has ended, has no address of its own."""
        running = [
            Pod.of(pod)
            for pod in pods
            if pod["status"].get("podIP")
            and not pod["spec"].get("hostNetwork")
            and pod["status"].get("phase") in {"Pending", "Running"}
        ]
        labels = {space["metadata"]["name"]: space["metadata"].get("labels") or {} for space in namespaces}
        return cls(sorted(running, key=lambda pod: (pod.namespace, pod.name)), labels, list(policies))


def chains(world: World) -> dict[str, list[str]]:
    """Every chain with its rules, as `iptables-restore` reads them. A pod that no policy selects is in none."""
    made: dict[str, list[str]] = {ENTRY: ["-m conntrack --ctstate ESTABLISHED,RELATED -j RETURN"]}
    for direction, side in (("Egress", "-s"), ("Ingress", "-d")):
        for pod in world.pods:
            selecting = [policy for policy in world.policies if _isolates(policy, pod, direction)]
            if not selecting:
                continue
            name = chain_name(pod, direction)
            made[ENTRY].append(f"{side} {pod.address}/32 -j {name}")
            rules = dict.fromkeys(rule for policy in selecting for rule in _rules(policy, pod, direction, world))
            # What an allowed packet returns from, it comes back to for the other end's chain.
            made[name] = [*(f"{rule} -j RETURN".lstrip() for rule in rules), "-j DROP"]
    return made


def restore_text(wanted: Mapping[str, Sequence[str]], present: Iterable[str]) -> str:
    """One transaction that makes the chains what they should be and removes those of pods that are gone."""
    gone = sorted(set(present) - set(wanted))
    lines = [f"*{TABLE}", *(f":{name} - [0:0]" for name in (*wanted, *gone))]
    lines += [f"-A {name} {rule}" for name, rules in wanted.items() for rule in rules]
    lines += [f"-X {name}" for name in gone]
    return "\n".join([*lines, "COMMIT", ""])


def chain_name(pod: Pod, direction: str) -> str:
    digest = hashlib.sha256(f"{pod.namespace}/{pod.name}".encode()).hexdigest()[:16]
    return f"{PREFIX}{direction[0]}-{digest}"


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a label selector does; an empty one selects everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_meets(requirement, labels) for requirement in selector.get("matchExpressions") or [])


def _meets(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = requirement["key"], requirement.get("values") or []
    match requirement["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case operator:
            raise ValueError(f"the operator {operator} of a label selector is not known")


def _isolates(policy: Object, pod: Pod, direction: str) -> bool:
    spec = policy["spec"]
    kinds = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") is not None else [])]
    here = policy["metadata"]["namespace"] == pod.namespace
    return here and direction in kinds and selects(spec.get("podSelector") or {}, pod.labels)


def _rules(policy: Object, pod: Pod, direction: str, world: World) -> Iterator[str]:
    """What this policy allows this pod, each as a match of iptables."""
    field, peers_field = DIRECTIONS[direction]
    side = "-s" if direction == "Ingress" else "-d"
    for rule in policy["spec"].get(field) or []:
        ports = rule.get("ports") or []
        peers = rule.get(peers_field) or []
        # Whose ports a name is looked up in: the pod's that is called.
        called = [pod] if direction == "Ingress" else None
        if not peers:
            yield from _anybody(ports, called or world.pods, side, ingress=direction == "Ingress")
        for peer in peers:
            if "ipBlock" in peer:
                networks = block(peer["ipBlock"])
                for match in _ports(ports, called[0] if called else None):
                    yield from (f"{side} {network} {match}".rstrip() for network in networks)
                continue
            for other in _peer_pods(peer, policy["metadata"]["namespace"], world):
                for match in _ports(ports, called[0] if called else other):
                    yield f"{side} {other.address}/32 {match}".rstrip()


def _anybody(ports: Sequence[Mapping[str, Any]], called: Sequence[Pod], side: str, *, ingress: bool) -> Iterator[str]:
    """A rule without peers. A port's name then means each pod's own port of that name."""
    if ingress:
        yield from _ports(ports, called[0])
        return
    for port in ports:
        if isinstance(port.get("port"), str):
            for pod in called:
                yield from (f"{side} {pod.address}/32 {match}" for match in _ports([port], pod))
        else:
            yield from _ports([port], None)
    if not ports:
        yield ""


def _ports(ports: Sequence[Mapping[str, Any]], called: Pod | None) -> list[str]:
    """The ports as matches; a name that the called pod has not got matches nothing."""
    if not ports:
        return [""]
    found = []
    for port in ports:
        protocol, number = port.get("protocol", "TCP"), port.get("port")
        if isinstance(number, str):
            number = called.ports.get((number, protocol)) if called is not None else None
            if number is None:
                continue
        match = f"-p {protocol.lower()}"
        if number is not None:
            last = f":{port['endPort']}" if "endPort" in port else ""
            match += f" --dport {number}{last}"
        found.append(match)
    return found


def _peer_pods(peer: Mapping[str, Any], namespace: str, world: World) -> list[Pod]:
    spaces, pods = peer.get("namespaceSelector"), peer.get("podSelector")
    return [
        pod
        for pod in world.pods
        if (
            selects(spaces, world.namespaces.get(pod.namespace, {}))
            if spaces is not None
            else pod.namespace == namespace
        )
        and selects(pods or {}, pod.labels)
    ]


def block(peer: Mapping[str, Any]) -> list[IPv4Network]:
    """The networks of an address range without its exceptions."""
    networks = [ip_network(peer["cidr"])]
    for hole in map(ip_network, peer.get("except") or []):
        networks = [part for network in networks for part in _without(network, hole)]
    return [network for network in collapse_addresses(networks) if isinstance(network, IPv4Network)]


def _without(network: Any, hole: Any) -> list[Any]:
    if hole.version != network.version or not hole.overlaps(network):
        return [network]
    return [] if network.subnet_of(hole) else list(network.address_exclude(hole))

"""What is tried on a cluster is all that a stack's policies speak of."""

from collections.abc import Iterator, Mapping, Set
from typing import Any

import pytest
import yaml
from engine.stack import REPOSITORY
from usage.edges import EDGES, FOREIGN, Edges

GOLDEN = REPOSITORY / "tests" / "infra" / "golden"
NAME = "app.kubernetes.io/name"


def registered(stack: str, *kinds: str) -> Iterator[dict[str, Any]]:
    """The objects of these kinds that a stack registers, as they were approved."""
    resources = yaml.safe_load((GOLDEN / f"{stack}.yaml").read_text(encoding="utf-8"))
    for resource in resources.values():
        if resource.get("inputs", {}).get("kind") in kinds:
            yield resource["inputs"]


def tried(stack: str) -> Iterator[Mapping[str, str]]:
    """The labels of every pod that a walk tries from: the stack's own and those in the place of others."""
    edges = EDGES[stack]
    for workload in registered(stack, "Deployment", "StatefulSet"):
        labels = workload["spec"]["template"]["metadata"]["labels"]
        if labels[NAME] in edges.reach:
            yield labels
    for visitor in edges.visitors.values():
        yield visitor.labels


@pytest.mark.parametrize("stack", EDGES)
def test_all_pods_that_a_policy_selects_are_tried(stack: str):
    labelled = list(tried(stack))
    for policy in registered(stack, "NetworkPolicy"):
        selected = policy["spec"]["podSelector"].get("matchLabels", {})
        assert any(selected.items() <= labels.items() for labels in labelled), policy["metadata"]["name"]


@pytest.mark.parametrize("stack", EDGES)
def test_whom_a_policy_lets_in_is_tried_as_open(stack: str):
    edges = EDGES[stack]
    ports = {**edges.ports, **{name: visitor.port for name, visitor in edges.visitors.items()}}
    labels = {entry[NAME]: entry for entry in tried(stack) if entry.get(NAME) in edges.ports}
    labels |= {name: visitor.labels for name, visitor in edges.visitors.items()}
    for policy in registered(stack, "NetworkPolicy"):
        selected = policy["spec"]["podSelector"].get("matchLabels", {})
        for rule in policy["spec"].get("ingress", ()):
            opened = {entry["port"] for entry in rule["ports"]}
            called = {name for name, own in labels.items() if selected.items() <= own.items() and ports[name] in opened}
            assert called, policy["metadata"]["name"]
            for peer in rule.get("from", [{}]):
                reached = callers_of(peer, labels, edges)
                assert reached, policy["metadata"]["name"]
                assert all(called <= own for own in reached), policy["metadata"]["name"]


def callers_of(peer: dict[str, Any], labels: Mapping[str, Mapping[str, str]], edges: Edges) -> list[Set[str]]:
    """What each of those that a rule lets in reaches, by the table."""
    chosen = peer.get("podSelector", {}).get("matchLabels", {})
    if "namespaceSelector" in peer and not chosen:
        return [edges.foreign[peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]]]
    if peer:
        named = [edges.reach[name] for name, own in labels.items() if chosen.items() <= own.items()]
        # Of pods with the same labels, one may be kept in by the policies of its namespace.
        return [frozenset().union(*named)] if named else []
    return [edges.foreign[space] for space in FOREIGN]

"""A small stack that keeps every rule, and a way to break it in one place."""

import copy
import dataclasses

import pytest

from infra import edge_catalogue
from infra.component import Component
from infra.components.autoscaling import Scaling
from infra.components.mcp_server import McpServer, McpServerArgs
from infra.components.namespace_guard import NamespaceGuard, NamespaceGuardArgs
from infra.components.network import Network, NetworkArgs
from infra.edges import Pods
from infra.pods import SecretKey
from infra.policy.rules import RULES
from infra.policy.view import ResourceView
from infra.ports import HTTP

PINNED = "registry.example/slipway@sha256:" + "ab" * 32
VALUE = "redis://:correct-horse@cache:6379"


class Platform(Component):
    """As much of a platform as the rules look at."""

    def __init__(self, environment):
        super().__init__("platform", "Platform", "slipway", None)
        self.finish({"environment": environment, "existing_secrets": ["pulled-by-hand"]})


def small_stack(environment="prod"):
    from pulumi_kubernetes.core.v1 import Secret
    from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

    Platform(environment)
    NamespaceGuard("guard", NamespaceGuardArgs(namespace="mcp", protect=True))
    secret = Secret("cache", metadata=ObjectMetaArgs(namespace="mcp"), string_data={"url": VALUE})
    name = secret.metadata.apply(lambda metadata: metadata.name)
    server = McpServer(
        "war",
        McpServerArgs(
            namespace="mcp",
            image=PINNED,
            scaling=Scaling(),
            redis_url=SecretKey(secret=name, key="url"),
            pull_secret="pulled-by-hand",
        ),
    )
    pods = Pods(name="war", selector=server.selector)
    edges = (*edge_catalogue.dns(), edge_catalogue.prometheus(pods, HTTP, namespace="monitoring"))
    Network("network", NetworkArgs(namespace="mcp", edges=edges))


@pytest.fixture
def kept(run, views):
    """The views of a small stack that keeps every rule; `kept("dev")` is the same in dev."""

    def make(environment="prod"):
        return views(run(lambda: small_stack(environment)))

    return make


@pytest.fixture
def said():
    """What one rule says about some views: its messages."""
    rules = {rule.name: rule for rule in RULES}
    return lambda name, resources: [violation.message for violation in rules[name].violations(resources)]


@pytest.fixture
def broken(kept):
    """The small stack with one thing changed: `broken("Deployment", "spec.replicas", 3)`; None takes it out."""

    def make(kind, path, value, *, environment="prod", name=None):
        resources = kept(environment)
        index = next(index for index, view in enumerate(resources) if view.kind == kind and name in (None, view.name))
        props = copy.deepcopy(dict(resources[index].props))
        *parents, last = path.split(".")
        inner = props
        for part in parents:
            inner = inner[int(part)] if isinstance(inner, list) else inner.setdefault(part, {})
        if value is None:
            inner.pop(last)
        else:
            inner[int(last) if isinstance(inner, list) else last] = value
        resources[index] = dataclasses.replace(resources[index], props=props)
        return resources

    return make


@pytest.fixture
def view():
    """One more resource: `view("core/v1:Service", "name", spec={…})`."""

    def make(kind, name, namespace="mcp", *, labels=None, annotations=None, protected=False, **props):
        token = kind if ":" not in kind or kind.startswith(("kubernetes:", "slipway:")) else f"kubernetes:{kind}"
        metadata = {"name": name, "namespace": namespace, "labels": labels or {}, "annotations": annotations or {}}
        return ResourceView(
            type=token,
            name=name,
            urn=f"urn:pulumi:test::slipway::{token}::{name}",
            props={"metadata": metadata, **props},
            protected=protected,
        )

    return make

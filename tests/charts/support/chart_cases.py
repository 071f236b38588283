"""What each chart is compared by: values of a release, and the same as arguments of the platform's component.

Both speak of a release in the namespace `mesh`, called `hello` for an agent, else by its kind.
"""

from dataclasses import dataclass
from typing import Any

from infra.components.autoscaling import Scaling
from infra.components.mesh import Agent, AgentArgs, Capability, Operator, OperatorArgs, Registry, RegistryArgs
from infra.pods import Resources, SecretKey
from infra.ports import Port
from infra.storage import Storage

NAMESPACE = "mesh"
IMAGE = {"repository": "slipway", "digest": "sha256:" + "5a" * 32}
_REFERENCE = f"{IMAGE['repository']}@{IMAGE['digest']}"
REGISTRY_URL = "http://registry.mesh.svc.cluster.local"
GREETING = Capability(name="greeting")


@dataclass(frozen=True)
class Case:
    """One release of a chart, and how the platform program says the same."""

    chart: str
    release: str
    values: dict[str, Any]
    arguments: dict[str, Any]

    def component(self) -> Any:
        """The component, for a program that runs under mocks."""
        if self.chart == "slipway-agent":
            given = {"registry_url": REGISTRY_URL, **self.arguments}
            return Agent(self.release, AgentArgs(namespace=NAMESPACE, image=_REFERENCE, **given))
        if self.chart == "slipway-operator":
            given = {"registry_url": REGISTRY_URL, **self.arguments}
            return Operator(self.release, OperatorArgs(namespace=NAMESPACE, image=_REFERENCE, **given))
        return Registry(self.release, RegistryArgs(namespace=NAMESPACE, image=_REFERENCE, **self.arguments))


def _agent(values: dict[str, Any], arguments: dict[str, Any]) -> Case:
    return Case("slipway-agent", "hello", {"image": IMAGE, "registry": {"url": REGISTRY_URL}, **values}, arguments)


def _registry(values: dict[str, Any], arguments: dict[str, Any]) -> Case:
    return Case("slipway-registry", "registry", {"image": IMAGE, **values}, arguments)


def _operator(values: dict[str, Any], arguments: dict[str, Any]) -> Case:
    own = {"image": IMAGE, "registry": {"url": REGISTRY_URL}}
    return Case("slipway-operator", "operator", {**own, **values}, arguments)


CASES = {
    "agent-least": _agent({}, {"capabilities": (GREETING,)}),
    "agent-everything": _agent(
        {
            "image": {**IMAGE, "pullSecret": "pull"},
            "registry": {"url": REGISTRY_URL, "token": {"secret": "registry", "key": "own"}},
            "port": 9000,
            "replicas": 4,
            "capabilities": [
                {"name": "sum", "version": "2.1.0", "timeout": 5, "tags": ["maths", "fast"]},
                {"name": "greeting"},
            ],
            "dependencies": ["weather@^1"],
            "healthInterval": 10,
            "retryAttempts": 0,
            "modules": ["app.mesh.samples.greeting", "sums"],
            "environment": {"ZONE": "a", "MCP_LOG_LEVEL": "debug"},
            "secretEnvironment": {"API_KEY": {"secret": "keys", "key": "api"}},
            "resources": {"requests": {"cpu": "50m"}, "limits": {"memory": "1Gi"}},
            "drainSeconds": 0,
            "requestBudgetSeconds": 120,
            "prometheus": {"annotations": False},
            "serviceMonitor": {"enabled": True},
            "networkPolicy": {"internetAccess": True},
        },
        {
            "pull_secret": "pull",
            "port": Port(name="http", number=9000),
            "replicas": 4,
            "capabilities": (Capability(name="sum", version="2.1.0", timeout=5, tags=("maths", "fast")), GREETING),
            "dependencies": ("weather@^1",),
            "health_interval": 10,
            "retry_attempts": 0,
            "environment": {
                "ZONE": "a",
                "MCP_LOG_LEVEL": "debug",
                "MCP_AGENT_MODULES": "app.mesh.samples.greeting,sums",
            },
            "secret_environment": {
                "API_KEY": SecretKey(secret="keys", key="api"),
                "MCP_MESH_TOKEN": SecretKey(secret="registry", key="own"),
            },
            "resources": Resources(cpu_request="50m", memory_limit="1Gi"),
            "drain_seconds": 0,
            "request_budget_seconds": 120,
            "prometheus": False,
        },
    ),
    "agent-scaled": _agent(
        {"replicas": 7, "autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 9, "memory": None}},
        {
            "capabilities": (GREETING,),
            "replicas": 7,
            "scaling": Scaling(min_replicas=3, max_replicas=9, memory=None),
        },
    ),
    "registry-alone": _registry({"replicas": 1}, {"replicas": 1}),
    "registry-three": _registry({"redis": {"secret": "redis"}}, {"redis_url": SecretKey(secret="redis", key="url")}),
    "registry-everything": _registry(
        {
            "image": {**IMAGE, "pullSecret": "pull"},
            "replicas": 5,
            "redis": {"secret": "redis", "key": "address"},
            "tokens": {"secret": "tokens"},
            "storage": {"size": "4Gi", "class": "fast", "keep": True},
            "port": 8443,
            "nodePort": 30850,
            "environment": {"MCP_MESH_GONE_SECONDS": "60"},
            "resources": {"limits": {"cpu": "2"}},
            "drainSeconds": 5,
            "prometheus": {"annotations": False},
            "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        },
        {
            "pull_secret": "pull",
            "replicas": 5,
            "redis_url": SecretKey(secret="redis", key="address"),
            "storage": Storage(size="4Gi", storage_class="fast"),
            "protect": True,
            "port": Port(name="http", number=8443),
            "node_port": 30850,
            "environment": {"MCP_MESH_GONE_SECONDS": "60"},
            "resources": Resources(cpu_limit="2"),
            "drain_seconds": 5,
            "prometheus": False,
        },
    ),
    "operator-least": _operator({}, {}),
    "operator-everything": _operator(
        {
            "image": {**IMAGE, "pullSecret": "pull"},
            "replicas": 2,
            "port": 9000,
            "agents": {"namespaces": ["mesh", "more"], "pullSecret": "pull"},
            "environment": {"MCP_LOG_LEVEL": "debug"},
            "resources": {"limits": {"cpu": "1"}},
            "prometheus": {"annotations": False},
            "serviceMonitor": {"enabled": True},
            "networkPolicy": {"prometheusNamespace": "metrics", "kubernetesApi": ["10.0.0.1/32"]},
        },
        {
            "pull_secret": "pull",
            "replicas": 2,
            "port": Port(name="http", number=9000),
            "environment": {
                "MCP_LOG_LEVEL": "debug",
                "MCP_OPERATOR_NAMESPACES": "mesh,more",
                "MCP_OPERATOR_PULL_SECRET": "pull",
                "MCP_OPERATOR_PROMETHEUS_NAMESPACE": "metrics",
            },
            "resources": Resources(cpu_limit="1"),
            "prometheus": False,
        },
    ),
}

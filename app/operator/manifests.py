"""What an agent becomes: every object of it, whole, as server-side apply is given it."""

from __future__ import annotations

from hashlib import sha256
from typing import Final, NamedTuple

import yaml

from app.kubernetes import Object
from app.operator._labels import COMPONENT, labels, selector, thing
from app.operator._pods import CONFIG_FILE, PORT_NAME, template
from app.operator._policy import network_policy
from app.operator.model import Agent, Around

_SERVICE_PORT = 80


class Kind(NamedTuple):
    """A kind of object that an agent can become, and where the API serves it."""

    api_version: str
    name: str
    plural: str

    @property
    def group(self) -> str:
        group, slash, _ = self.api_version.partition("/")
        return group if slash else ""

    def path(self, namespace: str, name: str) -> str:
        root = "/apis" if self.group else "/api"
        return f"{root}/{self.api_version}/namespaces/{namespace}/{self.plural}/{name}"


CONFIG_MAP: Final = Kind("v1", "ConfigMap", "configmaps")
ACCOUNT: Final = Kind("v1", "ServiceAccount", "serviceaccounts")
SERVICE: Final = Kind("v1", "Service", "services")
DEPLOYMENT: Final = Kind("apps/v1", "Deployment", "deployments")
AUTOSCALER: Final = Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
BUDGET: Final = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
POLICY: Final = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
MONITOR: Final = Kind("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors")
KINDS: Final = {
    kind.name: kind for kind in (CONFIG_MAP, ACCOUNT, SERVICE, DEPLOYMENT, AUTOSCALER, BUDGET, POLICY, MONITOR)
}


def manifests(agent: Agent, around: Around) -> list[Object]:
    """Every object of the agent, each after what it refers to. Raises InvalidSpec."""
    config_map = _config_map(agent)
    return [
        config_map,
        thing(*ACCOUNT[:2], agent, agent.name, automountServiceAccountToken=False),
        # Before the pods: their traffic is limited from their first moment.
        network_policy(agent, around),
        _deployment(agent, around, config_map["metadata"]["name"]),
        *([] if agent.spec.autoscaling is None else [_autoscaler(agent)]),
        _budget(agent),
        *_services(agent),
        *([_monitor(agent)] if agent.spec.service_monitor else []),
    ]


def declaration(agent: Agent) -> str:
    """`agent-config.yaml`: what the agent offers and needs, and how often it says so."""
    spec = agent.spec
    return yaml.safe_dump(
        {
            "capabilities": [
                {
                    "name": capability.name,
                    "version": capability.version,
                    "timeout": capability.timeout,
                    **({"tags": list(capability.tags)} if capability.tags else {}),
                }
                for capability in spec.capabilities
            ],
            **({"dependencies": list(spec.dependencies)} if spec.dependencies else {}),
            "health_interval": spec.health_interval,
            "retry_attempts": spec.retry_attempts,
        },
        sort_keys=False,
    )


def _config_map(agent: Agent) -> Object:
    """Named by its content, so that a changed file rolls the pods that mount it."""
    text = declaration(agent)
    name = f"{agent.name}-config-{sha256(text.encode()).hexdigest()[:8]}"
    return thing(*CONFIG_MAP[:2], agent, name, data={CONFIG_FILE: text})


def _deployment(agent: Agent, around: Around, config_map: str) -> Object:
    # Where an autoscaler exists, it alone decides how many there are.
    replicas = {"replicas": agent.spec.replicas} if agent.spec.autoscaling is None else {}
    spec = {
        **replicas,
        "revisionHistoryLimit": 5,
        "selector": {"matchLabels": selector(agent.name)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": template(agent, around, config_map),
    }
    return thing(*DEPLOYMENT[:2], agent, agent.name, spec=spec)


def _autoscaler(agent: Agent) -> Object:
    scaling = agent.spec.autoscaling
    assert scaling is not None  # noqa: S101 - asked by the only caller
    spec = {
        "scaleTargetRef": {"apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.name, "name": agent.name},
        "minReplicas": scaling.min_replicas,
        "maxReplicas": scaling.max_replicas,
        "metrics": [_utilization("cpu", scaling.cpu), _utilization("memory", scaling.memory)],
        "behavior": {
            "scaleUp": {
                "stabilizationWindowSeconds": 0,
                "selectPolicy": "Max",
                "policies": [
                    {"type": "Percent", "value": 50, "periodSeconds": 30},
                    {"type": "Pods", "value": 4, "periodSeconds": 30},
                ],
            },
            # Every pod taken away ends connections.
            "scaleDown": {
                "stabilizationWindowSeconds": 300,
                "policies": [{"type": "Percent", "value": 25, "periodSeconds": 60}],
            },
        },
    }
    return thing(*AUTOSCALER[:2], agent, agent.name, spec=spec)


def _utilization(resource: str, percentage: int) -> Object:
    target = {"type": "Utilization", "averageUtilization": percentage}
    return {"type": "Resource", "resource": {"name": resource, "target": target}}


def _budget(agent: Agent) -> Object:
    spec = {
        "maxUnavailable": 1,
        # A pod that never became ready must not hold up a drain.
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": selector(agent.name)},
    }
    return thing(*BUDGET[:2], agent, agent.name, spec=spec)


def _services(agent: Agent) -> list[Object]:
    def port(number: int) -> Object:
        return {"name": PORT_NAME, "port": number, "targetPort": PORT_NAME, "protocol": "TCP"}

    stable = {
        "type": "ClusterIP",
        "selector": selector(agent.name),
        "ports": [port(_SERVICE_PORT)],
        "sessionAffinity": "None",
    }
    headless = {"clusterIP": "None", "selector": selector(agent.name), "ports": [port(agent.spec.port)]}
    return [
        thing(*SERVICE[:2], agent, agent.name, spec=stable),
        thing(*SERVICE[:2], agent, f"{agent.name}-headless", spec=headless),
    ]


def _monitor(agent: Agent) -> Object:
    # The headless Service has the same labels: each pod is scraped once.
    once = {"sourceLabels": ["__meta_kubernetes_service_name"], "regex": agent.name, "action": "keep"}
    endpoint = {"port": PORT_NAME, "path": "/metrics", "interval": "30s", "relabelings": [once]}
    spec = {
        "jobLabel": "app.kubernetes.io/name",
        "selector": {"matchLabels": selector(agent.name)},
        "endpoints": [endpoint],
    }
    return thing(*MONITOR[:2], agent, agent.name, spec=spec)


__all__ = ["COMPONENT", "KINDS", "Kind", "declaration", "labels", "manifests"]

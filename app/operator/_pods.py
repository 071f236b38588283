"""The pods of an agent: the same as those that the platform's own component makes."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from app.kubernetes import Object
from app.operator._labels import COMPONENT, labels, selector
from app.operator.model import Agent, Around, InvalidSpec

CONFIG_FOLDER: Final = "/etc/slipway"
CONFIG_FILE: Final = "agent-config.yaml"
PORT_NAME: Final = "http"

_USER = 1000
_DRAIN_SECONDS = 15
_REQUEST_BUDGET_SECONDS = 30
# Between the last answer and SIGKILL: closing connections, flushing logs, leaving the registry.
_SHUTDOWN_MARGIN_SECONDS = 5
GRACE_SECONDS: Final = _DRAIN_SECONDS + _REQUEST_BUDGET_SECONDS + _SHUTDOWN_MARGIN_SECONDS
_READ_AND_RUN = 0o555
_SECCOMP = {"type": "RuntimeDefault"}


def template(agent: Agent, around: Around, config_map: str) -> Object:
    """The pod template of the agent's Deployment. Raises InvalidSpec for variables that are not the agent's to set."""
    environment = _environment(agent, around)
    return {
        "metadata": {"labels": labels(agent.name), "annotations": _annotations(agent, around, environment)},
        "spec": {
            "containers": [_container(agent, around, environment)],
            "serviceAccountName": agent.name,
            "automountServiceAccountToken": False,
            # What Kubernetes would set for a Service called `mcp` reads like the program's own MCP_PORT.
            "enableServiceLinks": False,
            **({} if around.pull_secret is None else {"imagePullSecrets": [{"name": around.pull_secret}]}),
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _USER,
                "runAsGroup": _USER,
                "fsGroup": _USER,
                "seccompProfile": _SECCOMP,
            },
            "affinity": _apart(agent.name),
            "topologySpreadConstraints": [
                _evenly(agent.name, key) for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
            ],
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            "volumes": [
                {"name": "config", "configMap": {"name": config_map, "defaultMode": _READ_AND_RUN}},
                {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
            ],
        },
    }


def _environment(agent: Agent, around: Around) -> dict[str, str]:
    """What is no secret. The derived variables cannot be set by the agent."""
    derived = {
        "KUBERNETES_NAMESPACE": agent.namespace,
        "MCP_DRAIN_SECONDS": str(_REQUEST_BUDGET_SECONDS),
        "MCP_HOST": "0.0.0.0",  # noqa: S104 - inside the pod, behind the network policies
        "MCP_PORT": str(agent.spec.port),
        "MCP_SERVICE_NAME": agent.name,
        "MCP_MESH_HTTP_ENABLED": "true",
    }
    if around.registry_url is not None:
        derived["MCP_MESH_REGISTRY_URL"] = around.registry_url
    taken = sorted({*derived, "POD_IP", "POD_NAME"} & {variable.name for variable in agent.spec.environment})
    if taken:
        raise InvalidSpec(f"spec.environment sets {', '.join(taken)}, which is derived: remove it")
    own = {variable.name: variable.value for variable in agent.spec.environment if variable.value is not None}
    secret = {variable.name for variable in agent.spec.environment if variable.secret is not None}
    shared = {name: value for name, value in around.environment.items() if name not in secret}
    return {**shared, **own, **derived}


def _annotations(agent: Agent, around: Around, environment: Mapping[str, str]) -> dict[str, str]:
    scraped = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(agent.spec.port),
        "prometheus.io/path": "/metrics",
    }
    return {
        **(scraped if around.prometheus else {}),
        "slipway.dev/config-checksum": checksum(environment),
        "slipway.dev/request-budget-seconds": str(_REQUEST_BUDGET_SECONDS),
    }


def checksum(data: Mapping[str, str]) -> str:
    """A digest of configuration, the same whatever its order."""
    lines = "".join(f"{len(key)}:{key}={len(data[key])}:{data[key]}\n" for key in sorted(data))
    return sha256(lines.encode()).hexdigest()


def _container(agent: Agent, around: Around, environment: Mapping[str, str]) -> Object:
    spec = agent.spec
    secrets = sorted((variable.name, variable.secret) for variable in spec.environment if variable.secret is not None)
    return {
        "name": COMPONENT,
        "image": spec.image or around.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["slipway", "agent", "--config", f"{CONFIG_FOLDER}/{CONFIG_FILE}"],
        "ports": [{"name": PORT_NAME, "containerPort": spec.port, "protocol": "TCP"}],
        "env": [
            _field("POD_IP", "status.podIP"),
            _field("POD_NAME", "metadata.name"),
            # The API server keeps no empty value: to write one would look like a change for ever.
            *({"name": name, **({"value": value} if value else {})} for name, value in sorted(environment.items())),
            *(
                {"name": name, "valueFrom": {"secretKeyRef": {"name": given.name, "key": given.key}}}
                for name, given in secrets
            ),
        ],
        "resources": {
            "requests": {"cpu": spec.resources.requests.cpu, "memory": spec.resources.requests.memory},
            "limits": {"cpu": spec.resources.limits.cpu, "memory": spec.resources.limits.memory},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": _SECCOMP,
        },
        "volumeMounts": [
            {"name": "config", "mountPath": CONFIG_FOLDER, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a path inside the container
        ],
        # A first start reads the image's bytecode: two minutes before it counts as failed.
        "startupProbe": _probe("/livez", period=2, failures=60),
        "livenessProbe": _probe("/livez", period=10, timeout=5),
        "readinessProbe": _probe("/ready", period=5, failures=2),
        # Unready at once, and still serving for a while, so that nobody is sent to a pod that goes.
        "lifecycle": {"preStop": {"exec": {"command": ["sh", "-c", f"kill -USR1 1; sleep {_DRAIN_SECONDS}"]}}},
    }


def _field(name: str, path: str) -> Object:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def _probe(path: str, *, period: int, timeout: int = 3, failures: int = 3) -> Object:
    return {
        "httpGet": {"path": path, "port": PORT_NAME},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }


def _apart(name: str) -> Object:
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": selector(name)}}
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


def _evenly(name: str, key: str) -> Object:
    """Over zones and nodes, never at the price of not starting one."""
    return {
        "maxSkew": 1,
        "topologyKey": key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(name)},
        "matchLabelKeys": ["pod-template-hash"],
    }

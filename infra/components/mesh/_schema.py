"""The schema of an `MCPAgent`: its defaults, its bounds and the rules that no single field can say.

Every list and text is bounded, because the API server refuses a rule whose cost it cannot bound.
"""

from typing import Any

from pulumi_kubernetes.apiextensions.v1 import JSONSchemaPropsArgs, ValidationRuleArgs

from infra.ports import AGENT

_NAME = r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
_VERSION = r"^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$"
_QUANTITY = r"^\d+(\.\d+)?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$"
# What the operator sets itself in every agent's pods.
_DERIVED = (
    "KUBERNETES_NAMESPACE",
    "MCP_DRAIN_SECONDS",
    "MCP_HOST",
    "MCP_MESH_HTTP_ENABLED",
    "MCP_MESH_REGISTRY_URL",
    "MCP_PORT",
    "MCP_SERVICE_NAME",
    "POD_IP",
    "POD_NAME",
)
_MAX_CAPABILITIES = 64


def agent() -> JSONSchemaPropsArgs:
    return JSONSchemaPropsArgs(
        type="object",
        description="A program that registers what it can do with the mesh and is found by that.",
        required=["spec"],
        properties={
            "apiVersion": JSONSchemaPropsArgs(type="string"),
            "kind": JSONSchemaPropsArgs(type="string"),
            "metadata": JSONSchemaPropsArgs(
                type="object",
                # The name becomes that of a Service and, with suffixes, of pods.
                properties={"name": _text("A DNS label.", pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", longest=47)},
            ),
            "spec": _spec(),
            "status": _status(),
        },
    )


def _spec() -> JSONSchemaPropsArgs:
    return _object(
        "What the agent is and can do.",
        {
            "image": _text(
                "Image with the agent's program; the operator's own when absent.", pattern=r"^\S+$", longest=512
            ),
            "port": _integer("Port that it serves MCP on.", 1024, 65535, default=AGENT.number),
            "replicas": _integer("Number of pods, when there is no autoscaling.", 0, 1000, default=1),
            "capabilities": _list_by("name", "What it can do for others.", _capability(), longest=_MAX_CAPABILITIES),
            "dependencies": _set("Capabilities of other agents that it calls.", longest=_MAX_CAPABILITIES),
            "healthInterval": _integer("Seconds between heartbeats to the registry.", 1, 3600, default=30),
            "retryAttempts": _integer("How often a call to another agent is tried again.", 0, 10, default=3),
            "environment": _list_by("name", "More environment variables.", _variable(), longest=100),
            "resources": _resources(),
            "autoscaling": _autoscaling(),
            "internetAccess": _flag("Whether it may call services outside the cluster.", default=False),
            "serviceMonitor": _flag("Whether a ServiceMonitor is made for it.", default=False),
        },
        required=["capabilities"],
        rules=[
            ValidationRuleArgs(
                rule="!has(self.dependencies) || self.dependencies.all(d, !self.capabilities.exists(c, c.name == d))",
                message="an agent cannot depend on a capability of its own: remove it from dependencies",
            ),
        ],
    )


def _capability() -> JSONSchemaPropsArgs:
    return _object(
        "One thing that the agent can do.",
        {
            "name": _text("What it is called.", pattern=_NAME, longest=63),
            "version": _text("Its version.", pattern=_VERSION, longest=64, default="1.0.0"),
            "timeout": _integer("Seconds after which a call to it has failed.", 1, 86400, default=30),
            "tags": _set("Words to find it by.", longest=16),
        },
        required=["name"],
    )


def _variable() -> JSONSchemaPropsArgs:
    reference = _object(
        "A key of a Secret in the same namespace.",
        {"name": _text("Name of the Secret.", longest=253), "key": _text("Key in it.", longest=253)},
        required=["name", "key"],
    )
    return _object(
        "One variable: with a value, or with a key of a Secret.",
        {
            "name": _text("Name of the variable.", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", longest=253),
            "value": _text("Its value, in plain text.", longest=32768),
            "secret": reference,
        },
        required=["name"],
        rules=[
            ValidationRuleArgs(
                rule="has(self.value) != has(self.secret)",
                message="a variable has either a value or a secret: give exactly one of them",
            ),
            ValidationRuleArgs(
                rule=f"!(self.name in [{', '.join(repr(name) for name in _DERIVED)}])",
                message="the operator sets this variable itself: remove it",
                message_expression="'the operator sets ' + self.name + ' itself: remove it'",
            ),
        ],
    )


def _resources() -> JSONSchemaPropsArgs:
    def amounts(description: str, cpu: str, memory: str) -> JSONSchemaPropsArgs:
        return _object(
            description,
            {
                "cpu": _text("CPU.", pattern=_QUANTITY, longest=20, default=cpu),
                "memory": _text("Memory.", pattern=_QUANTITY, longest=20, default=memory),
            },
            default={},
        )

    return _object(
        "Requests and limits of the container.",
        {
            "requests": amounts("What the scheduler sets aside.", "100m", "256Mi"),
            "limits": amounts("What it may use at most.", "500m", "512Mi"),
        },
        default={},
        rules=[_bounded("cpu"), _bounded("memory")],
    )


def _bounded(amount: str) -> ValidationRuleArgs:
    """A default is judged before the defaults within it are filled in, so what is absent is in order."""
    absent = " || ".join(
        f"!has({field})" for side in ("requests", "limits") for field in (f"self.{side}", f"self.{side}.{amount}")
    )
    return ValidationRuleArgs(
        rule=f"{absent} || quantity(self.requests.{amount}).compareTo(quantity(self.limits.{amount})) <= 0",
        message=f"requests.{amount} is above limits.{amount}: lower it, or raise the limit",
    )


def _autoscaling() -> JSONSchemaPropsArgs:
    return _object(
        "Scale by load between two bounds.",
        {
            "minReplicas": _integer("Fewest pods.", 1, 1000, default=2),
            "maxReplicas": _integer("Most pods.", 1, 1000, default=10),
            "cpu": _integer("Average CPU aimed at, in percent of the request.", 1, 100, default=70),
            "memory": _integer("Average memory aimed at, in percent of the request.", 1, 100, default=80),
        },
        rules=[
            ValidationRuleArgs(
                rule="self.minReplicas <= self.maxReplicas",
                message="minReplicas is above maxReplicas: lower it, or raise maxReplicas",
            )
        ],
    )


def _status() -> JSONSchemaPropsArgs:
    condition = _object(
        "One aspect of the agent's state.",
        {
            "type": _text("Available, Progressing or Registered.", longest=316),
            "status": JSONSchemaPropsArgs(type="string", enum=["True", "False", "Unknown"]),
            "reason": _text("One word why.", longest=1024),
            "message": _text("A sentence why.", longest=32768),
            "lastTransitionTime": JSONSchemaPropsArgs(type="string", format="date-time"),
            "observedGeneration": JSONSchemaPropsArgs(type="integer", format="int64", minimum=0),
        },
        required=["type", "status", "reason", "message", "lastTransitionTime"],
    )
    return _object(
        "What the operator last saw.",
        {
            "observedGeneration": JSONSchemaPropsArgs(type="integer", format="int64", minimum=0),
            "replicas": JSONSchemaPropsArgs(type="integer", minimum=0),
            "readyReplicas": JSONSchemaPropsArgs(type="integer", minimum=0),
            "selector": _text("Labels of its pods, as the scale subresource wants them.", longest=1024),
            "endpoints": _set("Addresses under which it is registered.", longest=1000, text=2048),
            "tools": _set("Names of the tools that it serves.", longest=1000, text=256),
            "conditions": _list_by("type", "Its state, aspect by aspect.", condition, longest=16),
        },
    )


def _object(
    description: str,
    properties: dict[str, JSONSchemaPropsArgs],
    *,
    required: list[str] | None = None,
    rules: list[ValidationRuleArgs] | None = None,
    default: Any = None,
) -> JSONSchemaPropsArgs:
    return JSONSchemaPropsArgs(
        type="object",
        description=description,
        properties=properties,
        required=required,
        x_kubernetes_validations=rules,
        default=default,
    )


def _text(
    description: str, *, longest: int, pattern: str | None = None, default: str | None = None
) -> JSONSchemaPropsArgs:
    return JSONSchemaPropsArgs(
        type="string", description=description, pattern=pattern, max_length=longest, default=default
    )


def _integer(description: str, least: int, most: int, *, default: int) -> JSONSchemaPropsArgs:
    return JSONSchemaPropsArgs(type="integer", description=description, minimum=least, maximum=most, default=default)


def _flag(description: str, *, default: bool) -> JSONSchemaPropsArgs:
    return JSONSchemaPropsArgs(type="boolean", description=description, default=default)


def _set(description: str, *, longest: int, text: int = 63) -> JSONSchemaPropsArgs:
    return JSONSchemaPropsArgs(
        type="array",
        description=description,
        max_items=longest,
        x_kubernetes_list_type="set",
        items=JSONSchemaPropsArgs(type="string", max_length=text),
    )


def _list_by(key: str, description: str, items: JSONSchemaPropsArgs, *, longest: int) -> JSONSchemaPropsArgs:
    """A list in which no two items have the same `key`; server-side apply merges it item by item."""
    return JSONSchemaPropsArgs(
        type="array",
        description=description,
        max_items=longest,
        x_kubernetes_list_type="map",
        x_kubernetes_list_map_keys=[key],
        items=items,
    )

"""An `MCPAgent` as the API server stores it, and what its operator knows about the cluster around it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

GROUP: Final = "mesh.mcp.io"
VERSION: Final = "v1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "MCPAgent"
PLURAL: Final = "mcpagents"
FINALIZER: Final = f"{GROUP}/deregister"


class Capability(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    version: str = "1.0.0"
    timeout: int = 30
    tags: tuple[str, ...] = ()


class SecretKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    name: str
    key: str


class Variable(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One variable: `value`, or a key of a Secret in the agent's namespace."""

    name: str
    value: str | None = None
    secret: SecretKey | None = None


class Requests(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    cpu: str = "100m"
    memory: str = "256Mi"


class Limits(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    cpu: str = "500m"
    memory: str = "512Mi"


class Resources(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    requests: Requests = Requests()
    limits: Limits = Limits()


class Autoscaling(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    min_replicas: int = 2
    max_replicas: int = 10
    cpu: int = 70
    memory: int = 80


class AgentSpec(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`spec` of an `MCPAgent`, with the defaults of its definition."""

    capabilities: tuple[Capability, ...]
    image: str | None = None
    port: int = 8080
    replicas: int = 1
    dependencies: tuple[str, ...] = ()
    health_interval: int = 30
    retry_attempts: int = 3
    environment: tuple[Variable, ...] = ()
    resources: Resources = Resources()
    autoscaling: Autoscaling | None = None
    internet_access: bool = False
    service_monitor: bool = False


class InvalidSpec(ValueError):
    """A spec that no workload can be made of; the message names the field."""


class Agent(msgspec.Struct, frozen=True, kw_only=True):
    """One `MCPAgent`: its identity, and its spec read."""

    name: str
    namespace: str
    uid: str
    generation: int
    spec: AgentSpec

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Agent:
        """Raises InvalidSpec for what the definition should have refused."""
        metadata = body["metadata"]
        try:
            spec = msgspec.convert(body.get("spec") or {}, AgentSpec)
        except msgspec.ValidationError as error:
            raise InvalidSpec(f"spec cannot be read ({error}): correct that field") from None
        return cls(
            name=metadata["name"],
            namespace=metadata["namespace"],
            uid=metadata["uid"],
            generation=int(metadata.get("generation", 0)),
            spec=spec,
        )


LogLevel = Literal["debug", "info", "warning", "error"]


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What every agent of this operator shares."""

    image: str
    """What agents run that name no image."""
    registry_url: str | None = None
    registry_namespace: str = "default"
    """Where the registry's pods are: the operator's own namespace."""
    environment: Mapping[str, str] = {}
    """Variables that every agent is given beside its own, such as the level of its log."""
    pull_secret: str | None = None
    prometheus: bool = True
    """Whether pods carry the annotations that a Prometheus finds them by."""
    prometheus_namespace: str = "monitoring"

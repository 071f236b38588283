"""An agent: a program that registers what it can do and is found by that."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

from infra import naming
from infra.component import Component
from infra.components.autoscaling import Scaling
from infra.edges import Pods
from infra.pods import Resources, SecretKey
from infra.ports import AGENT, Port


@dataclass(frozen=True, kw_only=True)
class Capability:
    """Something that an agent can do for others."""

    name: str
    version: str = "1.0.0"
    timeout: int = 30
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class AgentArgs:
    """One kind of agent. Its name is the component's name."""

    namespace: pulumi.Input[str]
    image: pulumi.Input[str]
    registry_url: pulumi.Input[str]
    replicas: int = 1
    scaling: Scaling | None = None
    capabilities: tuple[Capability, ...] = ()
    # Capabilities of other agents that it calls.
    dependencies: tuple[str, ...] = ()
    port: Port = AGENT
    # Seconds between heartbeats, and how often a call to another agent is tried again.
    health_interval: int = 30
    retry_attempts: int = 3
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict[str, pulumi.Input[str]])
    secret_environment: Mapping[str, SecretKey] = field(default_factory=dict[str, SecretKey])
    resources: Resources = field(default_factory=Resources)
    drain_seconds: int = 15
    request_budget_seconds: int = 30
    prometheus: bool = True
    pull_secret: pulumi.Input[str] | None = None


class Agent(Component):
    """Outputs: `service_name`, `headless_name`, `endpoint`."""

    service_name: pulumi.Output[str]
    headless_name: pulumi.Output[str]
    endpoint: pulumi.Output[str]

    def __init__(self, name: str, args: AgentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mesh", "Agent", name, opts)
        self.selector = naming.selector(name, "agent")
        self.pods = Pods(name=name, selector=self.selector)
        self.port = args.port
        self.capabilities = args.capabilities
        self.finish({})

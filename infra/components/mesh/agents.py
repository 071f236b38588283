"""An agent: a program that registers what it can do and is found by that."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import yaml

from infra import naming
from infra.commands import AGENT as AGENT_COMMAND
from infra.component import Component
from infra.components import _rbac, _server_services
from infra.components._files import file_map, file_mount, file_volume
from infra.components._program_pod import Program
from infra.components._workloads import disruption_budget
from infra.components.autoscaling import Autoscaling, AutoscalingArgs, Scaling
from infra.edges import Pods
from infra.pods import Resources, SecretKey
from infra.ports import AGENT, Port

COMPONENT = "agent"
CONFIG_FOLDER = "/etc/slipway"
CONFIG_FILE = "agent-config.yaml"


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
    """The agent's workload, its Services and the ConfigMap that says what it can do."""

    service_name: pulumi.Output[str]
    """The Service inside the cluster, on port 80."""
    headless_name: pulumi.Output[str]
    """The Service whose DNS name lists the pods, for callers that balance by themselves or have lost the registry."""
    endpoint: pulumi.Output[str]
    """The address inside the cluster that an MCP client is given."""
    selector: dict[str, str]
    """The labels that find the pods."""
    capabilities: tuple[Capability, ...]
    """What it can do."""

    def __init__(self, name: str, args: AgentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mesh", "Agent", name, opts)
        self.selector = naming.selector(name, COMPONENT)
        self.pods = Pods(name=name, selector=self.selector)
        self.port = args.port
        self.capabilities = args.capabilities
        config_map = file_map(self, "config", COMPONENT, args.namespace, {CONFIG_FILE: declaration(args)})
        deployment = self._workload(args, config_map)
        if args.scaling is not None:
            Autoscaling(
                name,
                AutoscalingArgs(namespace=args.namespace, target=deployment, scaling=args.scaling, component=COMPONENT),
                self.child_options(),
            )
        disruption_budget(self, name, COMPONENT, args.namespace)
        self.service_name = _server_services.cluster_service(
            self, affinity_seconds=None, namespace=args.namespace, component=COMPONENT, port=args.port
        )
        self.headless_name = _server_services.headless_service(
            self, namespace=args.namespace, component=COMPONENT, port=args.port
        )
        self.endpoint = pulumi.Output.all(self.service_name, args.namespace).apply(
            lambda known: f"http://{naming.service_host(known[0], known[1])}/mcp"
        )
        self.finish({"service_name": self.service_name, "headless_name": self.headless_name, "endpoint": self.endpoint})

    def _workload(self, args: AgentArgs, config_map: pulumi.Input[str]) -> pulumi.Output[str]:
        program = Program(
            component=COMPONENT,
            command=(*AGENT_COMMAND, "--config", f"{CONFIG_FOLDER}/{CONFIG_FILE}"),
            image=args.image,
            namespace=args.namespace,
            port=args.port,
            resources=args.resources,
            # An identity of its own, which a service mesh knows it by; it may do nothing in the cluster.
            account=_rbac.service_account(self, args.namespace, naming.labels(self.name, COMPONENT)),
            environment={
                **args.environment,
                "MCP_MESH_REGISTRY_URL": args.registry_url,
                "MCP_MESH_HTTP_ENABLED": "true",
            },
            secret_environment=args.secret_environment,
            volumes=(file_volume("config", config_map),),
            mounts=(file_mount("config", CONFIG_FOLDER),),
            drain_seconds=args.drain_seconds,
            request_budget_seconds=args.request_budget_seconds,
            prometheus=args.prometheus,
            pull_secret=args.pull_secret,
        )
        return program.deployment(self, replicas=args.replicas if args.scaling is None else None)


def declaration(args: AgentArgs) -> str:
    """`agent-config.yaml`: what the agent offers and needs, and how often it says so."""
    return yaml.safe_dump(
        {
            "capabilities": [
                {
                    "name": capability.name,
                    "version": capability.version,
                    "timeout": capability.timeout,
                    **({"tags": list(capability.tags)} if capability.tags else {}),
                }
                for capability in args.capabilities
            ],
            **({"dependencies": list(args.dependencies)} if args.dependencies else {}),
            "health_interval": args.health_interval,
            "retry_attempts": args.retry_attempts,
        },
        sort_keys=False,
    )

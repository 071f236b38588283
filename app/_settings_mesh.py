"""What the registry, agents and the operator read from the environment; a part of `app.settings`."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

from app._settings_types import Names, OptionalPath, OptionalSecret, OptionalText, env


class MeshSettings(BaseSettings):
    """The mesh: who may register from where, how many, and whom the registry asks besides."""

    mesh_allowed_endpoints: Names = Field(
        (),
        validation_alias=env("MCP_MESH_ALLOWED_ENDPOINTS"),
        description="networks separated by commas, like 10.0.0.0/8, in which agents may register any address",
    )
    mesh_max_agents: int = Field(
        100_000,
        ge=1,
        le=1_000_000,
        validation_alias=env("MCP_MESH_MAX_AGENTS"),
        description="agents that a registry keeps, 1 to 1000000",
    )
    mesh_max_agents_per_address: int = Field(
        100,
        ge=1,
        le=1_000_000,
        validation_alias=env("MCP_MESH_MAX_AGENTS_PER_ADDRESS"),
        description="agents that may be at one address, 1 to 1000000",
    )
    mesh_max_beats: float = Field(
        4_000.0,
        ge=1,
        le=1_000_000,
        validation_alias=env("MCP_MESH_MAX_BEATS"),
        description="heartbeats a second beyond which a replica asks agents for fewer, 1 to 1000000",
    )
    mesh_max_pending: int = Field(
        10_000,
        ge=0,
        le=1_000_000,
        validation_alias=env("MCP_MESH_MAX_PENDING"),
        description="registrations that a replica keeps on its disk while the store is away, 0 to 1000000",
    )
    mesh_gone_seconds: float = Field(
        600.0,
        ge=1,
        le=604_800,
        validation_alias=env("MCP_MESH_GONE_SECONDS"),
        description="seconds for which an agent that is gone is still known, 1 to 604800",
    )
    mesh_peers: Names = Field(
        (),
        validation_alias=env("MCP_MESH_PEERS"),
        description="other registries that are asked too, as name=http://address, separated by commas",
    )
    mesh_peer_token: OptionalSecret = Field(
        None, validation_alias=env("MCP_MESH_PEER_TOKEN"), description="the token that the other registries ask for"
    )

    # The operator.
    kubeconfig: OptionalPath = Field(
        None,
        validation_alias=env("KUBECONFIG"),
        description="a readable kubeconfig file; in a pod, its own account is used without one",
    )
    operator_namespaces: Names = Field(
        (),
        validation_alias=env("MCP_OPERATOR_NAMESPACES"),
        description="namespaces separated by commas, whose agents this operator makes; none means all",
    )
    operator_registry_token: OptionalSecret = Field(
        None,
        validation_alias=env("MCP_OPERATOR_REGISTRY_TOKEN"),
        description="a bearer token of the registry's, which owns the names of the agents",
    )
    operator_pull_secret: OptionalText = Field(
        None,
        validation_alias=env("MCP_OPERATOR_PULL_SECRET"),
        description="the Secret by which agents' images are pulled, in each of their namespaces",
    )
    operator_prometheus_namespace: str = Field(
        "monitoring",
        min_length=1,
        validation_alias=env("MCP_OPERATOR_PROMETHEUS_NAMESPACE"),
        description="the namespace whose pods may scrape agents",
    )
    operator_resync_seconds: float = Field(
        600.0,
        ge=1,
        le=86_400,
        validation_alias=env("MCP_OPERATOR_RESYNC_SECONDS"),
        description="seconds between two times that everything is compared anew, 1 to 86400",
    )

    # An agent.
    mesh_token: OptionalSecret = Field(
        None,
        validation_alias=env("MCP_MESH_TOKEN"),
        description="the bearer token that the registry asks for, with the scope mesh:register",
    )
    agent_name: OptionalText = Field(
        None,
        pattern=r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$",
        validation_alias=env("MCP_AGENT_NAME"),
        description="the agent's name, the same for all its replicas; MCP_SERVICE_NAME without one",
    )
    agent_modules: Names = Field(
        (),
        validation_alias=env("MCP_AGENT_MODULES"),
        description="Python modules separated by commas whose @capability functions the agent offers",
    )
    agent_service: OptionalText = Field(
        None,
        pattern=r"^[-A-Za-z0-9_.{}]*\{agent\}[-A-Za-z0-9_.{}]*$",
        validation_alias=env("MCP_AGENT_SERVICE"),
        description="the host name under which DNS lists an agent's pods, like {agent}-headless.mesh.svc",
    )

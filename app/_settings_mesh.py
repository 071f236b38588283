"""What the registry, agents and the operator read from the environment; a part of `app.settings`."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

from app._settings_types import Names, env


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

"""The gateway: starts external MCP servers as pods beside itself and serves all their tools under one endpoint."""

from infra.components.gateway._args import (
    ExternalServer,
    GatewayArgs,
    GatewaySecurity,
    PackageRegistries,
    PackageRegistry,
    ServerTransport,
    ServerType,
    Verification,
)
from infra.components.gateway._component import Gateway

__all__ = [
    "ExternalServer",
    "Gateway",
    "GatewayArgs",
    "GatewaySecurity",
    "PackageRegistries",
    "PackageRegistry",
    "ServerTransport",
    "ServerType",
    "Verification",
]

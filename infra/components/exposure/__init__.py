"""What stands in front of the servers: an Ingress, an HTTPRoute, a node port, or nothing."""

from infra.components.exposure.args import Endpoint, ExposureArgs, GatewayRef, Route

__all__ = ["Endpoint", "ExposureArgs", "GatewayRef", "Route"]

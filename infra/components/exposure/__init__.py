"""What stands in front of the servers: an Ingress, an HTTPRoute, a node port, or nothing."""

from infra.components.exposure.args import Endpoint, ExposureArgs, GatewayRef, Route
from infra.components.exposure.component import Exposure

__all__ = ["Endpoint", "Exposure", "ExposureArgs", "GatewayRef", "Route"]

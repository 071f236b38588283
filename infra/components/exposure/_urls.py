"""Where clients find each route."""

import pulumi

from infra import naming
from infra.components.exposure.args import Endpoint, ExposureArgs, Route

_ENDPOINTS: dict[Endpoint, tuple[str, str]] = {
    "http": ("http", "/mcp"),
    "websocket": ("ws", "/mcp"),
    "sse": ("http", "/sse"),
}


def urls(args: ExposureArgs) -> pulumi.Output[dict[str, dict[str, str]]]:
    """The URLs of every route that clients can reach, by its name and by endpoint."""
    reachable = [route for route in args.routes if args.profile != "nodePort" or route.node_port is not None]
    return pulumi.Output.all(**{route.name: _authority(args, route) for route in reachable}).apply(
        lambda found: {route.name: _of(args, route, str(found[route.name])) for route in reachable}
    )


def _authority(args: ExposureArgs, route: Route) -> pulumi.Output[str]:
    if args.profile == "none":
        return pulumi.Output.all(route.service, args.namespace).apply(
            lambda both: f"{naming.service_host(str(both[0]), str(both[1]))}:{route.port}"
        )
    if args.profile == "nodePort":
        return pulumi.Output.from_input(f"{args.node_address}:{route.node_port}")
    return pulumi.Output.from_input(route.host or args.host or "<address>")


def _of(args: ExposureArgs, route: Route, authority: str) -> dict[str, str]:
    secure = "s" if args.ends_tls else ""
    base = authority + route.path.rstrip("/")
    found: dict[str, str] = {}
    for endpoint in route.endpoints:
        # The older transport tells its clients a path from the root, which a prefix would break.
        if endpoint == "sse" and route.path != "/":
            continue
        scheme, path = _ENDPOINTS[endpoint]
        found[endpoint] = f"{scheme}{secure}://{base}{path}"
    return found

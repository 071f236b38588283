"""Our own gateway over the words of its configuration: a server's `args` are its command. `gateway_of.py PORT FILE`."""

import sys

from app.cli import _gateway, main
from app.gateway.resolving import Resolved, Resolver
from app.gateway.spec import LaunchSpec, ServerSpec


class Literally(Resolver):
    """Takes no package from anywhere."""

    async def explain(self, name: str, spec: ServerSpec) -> Resolved:
        if spec.type == "remote":
            return await super().explain(name, spec)
        return Resolved(LaunchSpec(id=name, type="npx", transport="stdio", command=spec.args), [])


_gateway.Resolver = Literally
sys.argv = ["slipway", "gateway", "--port", sys.argv[1], "--config", sys.argv[2]]
main()

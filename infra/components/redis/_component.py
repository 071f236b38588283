"""The component: the mode's workload, its credentials, its disruption budget and its backups."""

import pulumi

from infra import naming
from infra.component import Component
from infra.components.redis._args import RedisArgs
from infra.edges import Edge, Pods
from infra.pods import SecretKey
from infra.ports import REDIS, SENTINEL, Port


class Redis(Component):
    """Redis, and one Secret with the URL that reaches it in whatever mode it runs.

    Outputs: `url` (the `REDIS_URL` to hand to an app, by reference), `service_name`. `edges_from(pods)` are the edges
    that a client needs and `edges` those among its own pods.
    """

    url: SecretKey
    service_name: pulumi.Output[str]
    selector: dict[str, str]
    edges: tuple[Edge, ...]

    def __init__(self, name: str, args: RedisArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("redis", "Redis", name, opts)
        self.selector = naming.selector(name, "redis")
        self.pods = Pods(name=name, selector=self.selector)
        self.ports: tuple[Port, ...] = (REDIS,)
        self.sentinel_pods = (
            Pods(
                name=naming.child(name, "sentinel"),
                selector=naming.selector(naming.child(name, "sentinel"), "sentinel"),
            )
            if args.mode == "sentinel"
            else None
        )
        self.edges = ()
        self.finish({})

    def edges_from(self, client: Pods) -> tuple[Edge, ...]:
        """What `client` must reach to use this Redis."""
        edges = [Edge(source=client, target=self.pods, ports=(REDIS,), reason="keeps sessions and state")]
        if self.sentinel_pods is not None:
            edges.append(Edge(source=client, target=self.sentinel_pods, ports=(SENTINEL,), reason="asks who is master"))
        return tuple(edges)

"""The component: members, credentials, the replica set's initiation, the admin page and backups."""

import pulumi

from infra import naming
from infra.component import Component
from infra.components.mongodb._args import MongodbArgs
from infra.edges import Edge, Pods
from infra.pods import SecretKey
from infra.ports import MONGO_EXPRESS, MONGODB


class Mongodb(Component):
    """MongoDB, and one Secret with the URI of its least-privileged user.

    Outputs: `uri` (the `MONGODB_URI` to hand to an app, by reference), `service_name`, and with an admin page
    `admin_service_name`, `admin_pods` and `admin_port`. `edges_from(pods)` are the edges that a client needs and
    `edges` those among its own pods.
    """

    uri: SecretKey
    service_name: pulumi.Output[str]
    selector: dict[str, str]
    edges: tuple[Edge, ...]
    admin_service_name: pulumi.Output[str] | None
    admin_pods: Pods | None

    def __init__(self, name: str, args: MongodbArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mongodb", "Mongodb", name, opts)
        self.selector = naming.selector(name, "mongodb")
        self.pods = Pods(name=name, selector=self.selector)
        self.admin_port = MONGO_EXPRESS
        self.edges = ()
        self.finish({})

    def edges_from(self, client: Pods) -> tuple[Edge, ...]:
        """What `client` must reach to use this MongoDB."""
        return (Edge(source=client, target=self.pods, ports=(MONGODB,), reason="keeps documents"),)

"""The component: members, credentials, the replica set's initiation, the admin page and backups."""

import pulumi

from infra import edge_catalogue, naming
from infra.component import Component
from infra.components._files import file_map, texts
from infra.components._workloads import disruption_budget
from infra.components.mongodb import _admin, _backup, _members
from infra.components.mongodb._args import MongodbArgs
from infra.components.mongodb._credentials import Credentials
from infra.edges import Edge, Pods
from infra.pods import SecretKey
from infra.ports import MONGO_EXPRESS

_SCRIPTS = ("backup.sh", "initiate.js", "ready.sh", "start.sh")


class Mongodb(Component):
    """MongoDB, and one Secret with the URI of its least-privileged user."""

    uri: SecretKey
    """The `MONGODB_URI` to hand to an app, by reference."""
    service_name: pulumi.Output[str]
    """The Service of a single member, or the headless one of a set."""
    pods: Pods
    """The pods with the data."""
    edges: tuple[Edge, ...]
    """What must be open among its own pods."""
    admin_service_name: pulumi.Output[str] | None
    """The Service of the admin page on port 80, where there is one."""
    admin_pods: Pods | None
    """The pod of the admin page: who may reach it is for the exposure and the network to say."""

    def __init__(self, name: str, args: MongodbArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("mongodb", "Mongodb", name, opts)
        self.pods = _pods_of(name, _members.COMPONENT)
        self.admin_port = MONGO_EXPRESS
        credentials = Credentials(self, args)
        scripts = file_map(self, "scripts", _members.COMPONENT, args.namespace, {**texts("mongodb", _SCRIPTS)})
        init = file_map(self, "init", _members.COMPONENT, args.namespace, {**_members.init_scripts(args.init_scripts)})
        self.service_name = _members.service(self, args)
        members = _members.workload(self, args, server_secret=credentials.server, scripts=scripts, init=init)
        _members.initiation(self, args, server_secret=credentials.server, scripts=scripts, after=members)
        disruption_budget(self, name, _members.COMPONENT, args.namespace)
        self.admin_service_name, self.admin_pods = None, None
        if args.admin is not None:
            secret = credentials.admin(args.admin.password)
            self.admin_service_name = _admin.make(self, args.namespace, args.admin, secret=secret)
            self.admin_pods = _pods_of(_admin.page(name), _admin.COMPONENT)
        if args.backup is not None:
            _backup.make(self, args, args.backup, dump=credentials.dump(), scripts=scripts)
        self.uri = credentials.uri()
        self.edges = tuple(self._own_edges(args))
        self.finish(
            {
                "service_name": self.service_name,
                "uri_secret_name": self.uri.secret,
                "uri_key": self.uri.key,
                "admin_service_name": self.admin_service_name,
            }
        )

    def edges_from(self, client: Pods) -> tuple[Edge, ...]:
        """What must be open for `client` to use the URI."""
        return (edge_catalogue.mongodb(client, self.pods),)

    def _own_edges(self, args: MongodbArgs) -> list[Edge]:
        name = self.name
        edges: list[Edge] = []
        if args.replica_set is not None:
            edges.append(edge_catalogue.mongodb_replication(self.pods))
            edges += self.edges_from(_pods_of(_members.initiator(name), "initiate"))
        if self.admin_pods is not None:
            edges += self.edges_from(self.admin_pods)
        if args.backup is not None:
            edges += self.edges_from(_pods_of(naming.child(name, "backup"), "backup"))
        return edges


def _pods_of(name: str, component: str) -> Pods:
    return Pods(name=name, selector=naming.selector(name, component))

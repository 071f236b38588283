"""The component: the mode's workload, its credentials, its disruption budget and its backups."""

import pulumi
from pulumi_kubernetes.core.v1 import Secret
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_random import RandomPassword

from infra import edge_catalogue, naming
from infra.component import Component, object_name
from infra.components._files import file_map, texts
from infra.components._workloads import disruption_budget
from infra.components.redis import _backup, _nodes, _proxy, _sentinel, _standalone
from infra.components.redis._args import RedisArgs
from infra.components.redis._nodes import PASSWORD_KEY, URL_KEY, Nodes
from infra.components.redis._pods import Parts
from infra.edges import Edge, Pods
from infra.pods import SecretKey

_SCRIPTS = (
    "alive.sh",
    "backup.sh",
    "common.sh",
    "hand-over.sh",
    "ready-redis.sh",
    "ready-sentinel.sh",
    "redis.conf",
    "sentinel.conf",
    "start-redis.sh",
    "start-sentinel.sh",
)
_PASSWORD_LENGTH = 40


class Redis(Component):
    """Redis, and one Secret with the URL that reaches it in whatever mode it runs."""

    url: SecretKey
    """The `REDIS_URL` to hand to an app, by reference."""
    service_name: pulumi.Output[str]
    """What the URL leads to: Redis itself, the Sentinels, or the proxies before the master."""
    pods: Pods
    """The pods with the data."""
    edges: tuple[Edge, ...]
    """What must be open among its own pods."""

    def __init__(self, name: str, args: RedisArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("redis", "Redis", name, opts)
        self.pods = Pods(name=name, selector=naming.selector(name, "redis"))
        self._sentinels = _pods_of(_nodes.sentinel_set(name), "sentinel") if args.mode == "sentinel" else None
        proxied = args.mode == "sentinel" and args.client_access == "service"
        self._proxies = _pods_of(_proxy.proxy_name(name), _proxy.COMPONENT) if proxied else None
        password = self._password(args)
        parts = Parts(
            args=args,
            nodes=pulumi.Output.from_input(args.namespace).apply(lambda known: Nodes.of(name, args, known)),
            scripts=file_map(self, "scripts", "redis", args.namespace, {**texts("redis", _SCRIPTS)}),
            credentials=self._secret("credentials", args, {PASSWORD_KEY: password}) if args.authentication else None,
        )
        self.service_name = _sentinel.make(self, parts) if args.mode == "sentinel" else _standalone.make(self, parts)
        disruption_budget(self, name, "redis", args.namespace)
        if proxied:
            self.service_name = _proxy.make(self, parts)
        if args.backup is not None:
            _backup.make(self, parts, args.backup)
        self.url = SecretKey(
            secret=self._secret(
                "url",
                args,
                {
                    URL_KEY: pulumi.Output.all(args.namespace, password).apply(
                        lambda known: _nodes.url(name, args, known[0], known[1])
                    )
                },
            ),
            key=URL_KEY,
        )
        self.edges = self._own_edges(backed_up=args.backup is not None)
        self.finish({"service_name": self.service_name, "url_secret_name": self.url.secret, "url_key": URL_KEY})

    def edges_from(self, client: Pods) -> tuple[Edge, ...]:
        """What must be open for `client` to use the URL."""
        if self._proxies is not None:
            return (edge_catalogue.redis(client, self._proxies),)
        if self._sentinels is not None:
            return (edge_catalogue.redis(client, self.pods), edge_catalogue.sentinel(client, self._sentinels))
        return (edge_catalogue.redis(client, self.pods),)

    def _own_edges(self, *, backed_up: bool) -> tuple[Edge, ...]:
        edges: list[Edge] = []
        if self._sentinels is not None:
            edges += edge_catalogue.redis_replication(self.pods, self._sentinels)
        if self._proxies is not None:
            edges.append(edge_catalogue.redis(self._proxies, self.pods))
        if backed_up:
            edges.append(edge_catalogue.redis(_pods_of(naming.child(self.name, "backup"), "backup"), self.pods))
        return tuple(edges)

    def _password(self, args: RedisArgs) -> pulumi.Output[str]:
        """As given, or generated once and kept in the state; empty without authentication."""
        if not args.authentication:
            return pulumi.Output.from_input("")
        if args.password is not None:
            return pulumi.Output.secret(args.password)
        generated = RandomPassword(
            naming.child(self.name, "password"), length=_PASSWORD_LENGTH, special=False, opts=self.child_options()
        )
        return pulumi.Output.secret(generated.result)

    def _secret(self, part: str, args: RedisArgs, values: dict[str, pulumi.Input[str]]) -> pulumi.Output[str]:
        secret = Secret(
            naming.child(self.name, part),
            metadata=ObjectMetaArgs(namespace=args.namespace, labels=naming.labels(self.name, "redis")),
            string_data=values,
            opts=self.child_options(),
        )
        return object_name(secret.metadata)


def _pods_of(name: str, component: str) -> Pods:
    return Pods(name=name, selector=naming.selector(name, component))

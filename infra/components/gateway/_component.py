"""The component: the gateway's workload, its Services, its declaration and what it may do in its namespace."""

import re
from collections.abc import Mapping

import pulumi
from pulumi_kubernetes.core.v1 import Secret
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra import naming
from infra.commands import GATEWAY as GATEWAY_COMMAND
from infra.component import Component, object_name
from infra.components import _rbac, _server_services
from infra.components._files import file_map, file_mount, file_volume
from infra.components._program_pod import Program
from infra.components._rbac import Permission
from infra.components._workloads import disruption_budget
from infra.components.gateway import _registries
from infra.components.gateway._args import GatewayArgs
from infra.components.gateway._declaration import declaration
from infra.edges import Addresses, Edge, Pods
from infra.ports import EXTERNAL_SERVER, HTTPS, Port
from infra.urls import url_port

COMPONENT = "gateway"
# Pods with it may call services outside the cluster.
INTERNET_LABEL = {"slipway.dev/internet": "true"}
CONFIG_FOLDER = "/etc/slipway"
CONFIG_FILE = "gateway.yaml"


class Gateway(Component):
    """The gateway and what it may do in its namespace."""

    service_name: pulumi.Output[str]
    """The Service inside the cluster, on port 80."""
    endpoint: pulumi.Output[str]
    """The address inside the cluster that an MCP client is given."""
    selector: dict[str, str]
    """The labels that find the gateway's pods."""
    pods: Pods
    """The gateway's pods."""
    server_pods: Pods
    """The pods that it starts."""
    internet_pods: Pods
    """Those of them that may call services outside the cluster."""
    edges: tuple[Edge, ...]
    """What must be open between the gateway and the servers it starts or is told of."""

    def __init__(self, name: str, args: GatewayArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("gateway", "Gateway", name, opts)
        labels = naming.labels(name, COMPONENT)
        self.selector = naming.selector(name, COMPONENT)
        self.port = args.port
        self.pods = Pods(name=name, selector=self.selector)
        servers = naming.child(name, "servers")
        self.server_pods = Pods(name=servers, selector=naming.selector(servers, "external-server"))
        self.internet_pods = Pods(
            name=naming.child(servers, "internet"), selector={**self.server_pods.selector, **INTERNET_LABEL}
        )
        secrets = self._server_secrets(args)
        account = _rbac.service_account(self, args.namespace, labels)
        _rbac.grant(
            self,
            "namespace",
            namespace=args.namespace,
            account=account,
            labels=labels,
            permissions=_permissions(name, secrets),
        )
        # Without a keyword, `all` gives a list.
        names = pulumi.Output.all(**secrets) if secrets else pulumi.Output.from_input(dict[str, str]())
        written = names.apply(lambda known: declaration(args, pod_labels=self._pod_labels(args), secrets=known))
        config_map = file_map(self, "config", COMPONENT, args.namespace, {CONFIG_FILE: written})
        self._deployment(args, account, config_map, self._registry_tokens(args))
        disruption_budget(self, name, COMPONENT, args.namespace)
        self.service_name = _server_services.cluster_service(
            self, namespace=args.namespace, component=COMPONENT, port=args.port, affinity_seconds=args.affinity_seconds
        )
        self.endpoint = pulumi.Output.all(self.service_name, args.namespace).apply(
            lambda known: f"http://{naming.service_host(known[0], known[1])}/mcp"
        )
        self.edges = self._own_edges(args)
        self.finish({"service_name": self.service_name, "endpoint": self.endpoint, "port": self.port.number})

    def _server_secrets(self, args: GatewayArgs) -> dict[str, pulumi.Output[str]]:
        """One Secret for each server that has secret settings, so that a server's pod reads nobody else's."""
        made: dict[str, pulumi.Output[str]] = {}
        for server, given in sorted(args.servers.items()):
            if given.enabled and given.secret_environment:
                # A server's name is the user's own, such as braveSearch; an object's is a DNS label.
                name = naming.child(self.name, "server", _dns_label(server))
                made[server] = self._secret(name, args.namespace, given.secret_environment)
        return made

    def _registry_tokens(self, args: GatewayArgs) -> pulumi.Output[str] | None:
        """The Secret of the registries' tokens, by their variables; a token that changes gives it another name."""
        tokens = _registries.tokens(args.registries)
        return self._secret(naming.child(self.name, "registries"), args.namespace, tokens) if tokens else None

    def _secret(
        self, name: str, namespace: pulumi.Input[str], values: Mapping[str, pulumi.Input[str]]
    ) -> pulumi.Output[str]:
        """A Secret of the gateway's own; gives its name, which is another one when a value changes."""
        metadata = ObjectMetaArgs(namespace=namespace, labels=naming.labels(self.name, COMPONENT))
        return object_name(
            Secret(name, metadata=metadata, string_data=dict(values), opts=self.child_options()).metadata
        )

    def _pod_labels(self, args: GatewayArgs) -> dict[str, str]:
        """By these the network policies find the started pods, and those that may call out."""
        labels = {**self.server_pods.selector, "app.kubernetes.io/managed-by": self.name}
        return {**labels, **INTERNET_LABEL} if args.security.internet_access else labels

    def _deployment(
        self,
        args: GatewayArgs,
        account: pulumi.Input[str],
        config_map: pulumi.Input[str],
        tokens: pulumi.Input[str] | None,
    ) -> None:
        program = Program(
            component=COMPONENT,
            command=(*GATEWAY_COMMAND, "--config", f"{CONFIG_FOLDER}/{CONFIG_FILE}"),
            image=args.image,
            namespace=args.namespace,
            port=args.port,
            resources=args.resources,
            environment={
                **args.environment,
                "MCP_TRANSPORT": "http",
                "ARCHON_MCP_IMAGE": args.archon_image,
                "MCP_SERVER_CPU_LIMIT": args.server_resources.cpu_limit,
                "MCP_SERVER_MEMORY_LIMIT": args.server_resources.memory_limit,
                "MCP_ALLOW_NPX": _flag(args.security.allow_npx),
                "MCP_ALLOW_UV": _flag(args.security.allow_uv),
                "MCP_ALLOW_CUSTOM_IMAGES": _flag(args.security.allow_custom_images),
                **_packages(args, tokens),
            },
            secret_environment={
                "REDIS_URL": args.redis_url,
                "MONGODB_URI": args.mongodb_uri,
                "MCP_AUTH_TOKENS": args.bearer_tokens,
                "MCP_REQUEST_STATE_KEYS": args.request_state_key,
                **({} if tokens is None else _registries.references(args.registries, tokens)),
            },
            account=account,
            mount_token=True,
            volumes=(file_volume("config", config_map),),
            mounts=(file_mount("config", CONFIG_FOLDER),),
            drain_seconds=args.drain_seconds,
            request_budget_seconds=args.request_budget_seconds,
            prometheus=args.prometheus,
            pull_secret=args.pull_secret,
        )
        program.deployment(self, replicas=args.replicas)

    def _own_edges(self, args: GatewayArgs) -> tuple[Edge, ...]:
        """To the pods it starts, on the bridge's port and those that servers name; to remote servers off HTTPS;
        to private registries, from the gateway and from the pods that may call out.
        """
        declared = [given for given in args.servers.values() if given.enabled]
        numbers = {EXTERNAL_SERVER.number, *(given.port for given in declared if given.port and given.url is None)}
        served = tuple(Port(name=f"mcp-{number}", number=number) for number in sorted(numbers))
        edges = [Edge(source=self.pods, target=self.server_pods, ports=served, reason="Call external servers.")]
        remote = {url_port(given.url) for given in declared if given.url is not None} - {HTTPS.number}
        if remote:
            ports = tuple(Port(name=f"remote-{number}", number=number) for number in sorted(remote))
            target = Addresses(name="remote-servers")
            edges.append(Edge(source=self.pods, target=target, ports=ports, reason="Call remote servers."))
        for pods in (self.pods, self.internet_pods):
            # The gateway asks what there is, the servers' pods fetch it.
            edges.extend(_registries.edges(pods, args.registries))
        return tuple(edges)


def _packages(args: GatewayArgs, tokens: pulumi.Input[str] | None) -> dict[str, pulumi.Input[str]]:
    """Where packages and images come from. What is not said is left away: a variable more would roll the pods."""
    said: dict[str, pulumi.Input[str] | None] = {
        "MCP_PACKAGES_VERIFY": None if args.verify == "off" else args.verify,
        "MCP_PACKAGE_REGISTRIES": _registries.variable(args.registries),
        "MCP_POD_ENVIRONMENT_SECRET": tokens,
        "MCP_POD_PULL_SECRET": args.pull_secret,
    }
    return {name: value for name, value in said.items() if value is not None}


def _permissions(name: str, secrets: dict[str, pulumi.Output[str]]) -> list[Permission]:
    """Start, watch and stop pods, speak to their standard streams, fence them in, and read the servers' own Secrets."""
    permissions = [
        Permission(group="", resources=("pods",), verbs=("create", "get", "list", "watch", "patch", "delete")),
        Permission(group="", resources=("pods/exec", "pods/attach"), verbs=("create", "get")),
        Permission(group="", resources=("pods/log",), verbs=("get",)),
        Permission(group="", resources=("events",), verbs=("get", "list", "watch")),
        Permission(
            group="networking.k8s.io",
            resources=("networkpolicies",),
            verbs=("create", "get", "list", "patch", "delete"),
        ),
        # It owns what it starts: when it goes for good, its servers go too.
        Permission(group="apps", resources=("deployments",), verbs=("get",), names=(name,)),
    ]
    if secrets:
        # Without names the rule would cover every Secret of the namespace.
        permissions.append(Permission(group="", resources=("secrets",), verbs=("get",), names=tuple(secrets.values())))
    return permissions


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _dns_label(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", re.sub(r"([A-Z])", r"-\1", text).lower()).strip("-")

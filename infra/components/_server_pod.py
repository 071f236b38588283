"""The pods of one MCP server: their configuration, their container and how they start, serve and stop."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pulumi
from pulumi_kubernetes.core.v1 import (
    ConfigMapEnvSourceArgs,
    ContainerArgs,
    EnvFromSourceArgs,
    EnvVarArgs,
    LocalObjectReferenceArgs,
    PodSpecArgs,
    PodTemplateSpecArgs,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra import annotations, naming, pods, scheduling
from infra.commands import SERVE

if TYPE_CHECKING:
    from infra.components.mcp_server import McpServerArgs

CONTAINER = "server"
# A first start reads the image's bytecode and opens the stores: two minutes before it counts as failed.
STARTUP_PERIOD_SECONDS = 2
STARTUP_FAILURES = 60


def configuration(name: str, args: "McpServerArgs") -> dict[str, pulumi.Input[str]]:
    """The variables of the program that are no secret. Raises ValueError where `environment` contradicts the args."""
    derived: dict[str, pulumi.Input[str]] = {
        "KUBERNETES_NAMESPACE": args.namespace,
        "MCP_DRAIN_SECONDS": str(args.request_budget_seconds),
        "MCP_HOST": "0.0.0.0",  # noqa: S104 - inside the pod, behind the network policies
        "MCP_PORT": str(args.port.number),
        "MCP_SERVICE_NAME": name,
        "MCP_TRANSPORT": args.transport,
        "MCP_WORKERS": str(args.workers),
    }
    if args.toolsets:
        derived["MCP_TOOLSETS"] = ",".join(args.toolsets)
    taken = sorted({*derived, *secrets(args)} & {*args.environment})
    if taken:
        raise ValueError(
            f"server {name}: environment sets {', '.join(taken)}, which the server's own settings decide: remove it"
        )
    hosts = {"MCP_ALLOWED_HOSTS": _allowed_hosts(name, args)} if args.hosts else {}
    return {**hosts, **args.environment, **derived}


def secrets(args: "McpServerArgs") -> dict[str, pods.SecretKey]:
    """The variables of the program that stay in Secrets. Raises ValueError for one that is set twice."""
    known = {
        "REDIS_URL": args.redis_url,
        "MONGODB_URI": args.mongodb_uri,
        "MCP_AUTH_TOKENS": args.bearer_tokens,
        "MCP_REQUEST_STATE_KEYS": args.request_state_key,
    }
    given = {variable: reference for variable, reference in known.items() if reference is not None}
    twice = sorted({*given} & {*args.secret_environment})
    if twice:
        raise ValueError(f"secret_environment sets {', '.join(twice)}, which has a setting of its own: remove it")
    return {**given, **args.secret_environment}


def template(
    name: str,
    args: "McpServerArgs",
    *,
    component: str,
    config_map: pulumi.Input[str],
    config: Mapping[str, pulumi.Input[str]],
    account: pulumi.Input[str],
) -> PodTemplateSpecArgs:
    """What the Deployment makes its pods from."""
    selector = naming.selector(name, component)
    return PodTemplateSpecArgs(
        metadata=ObjectMetaArgs(labels=naming.labels(name, component), annotations=_annotations(args, config)),
        spec=PodSpecArgs(
            containers=[_container(args, config_map)],
            service_account_name=account,
            automount_service_account_token=args.access != "none",
            # Variables that Kubernetes makes for a Service called `mcp` would be read as the program's own MCP_PORT.
            enable_service_links=False,
            image_pull_secrets=None if args.pull_secret is None else [LocalObjectReferenceArgs(name=args.pull_secret)],
            security_context=pods.restricted_pod(),
            affinity=scheduling.apart(selector, args.anti_affinity),
            topology_spread_constraints=scheduling.evenly(selector),
            termination_grace_period_seconds=pods.grace_period(
                drain_seconds=args.drain_seconds, request_budget_seconds=args.request_budget_seconds
            ),
            volumes=[pods.scratch_volume()],
        ),
    )


def _container(args: "McpServerArgs", config_map: pulumi.Input[str]) -> ContainerArgs:
    return ContainerArgs(
        name=CONTAINER,
        image=args.image,
        image_pull_policy="IfNotPresent",
        command=list(SERVE),
        ports=[pods.container_port(args.port)],
        env_from=[EnvFromSourceArgs(config_map_ref=ConfigMapEnvSourceArgs(name=config_map))],
        env=[*pods.pod_identity(), *_secret_variables(args)],
        resources=args.resources.args(),
        security_context=pods.restricted_container(),
        volume_mounts=[pods.scratch_mount()],
        startup_probe=pods.http_probe("/livez", args.port, period=STARTUP_PERIOD_SECONDS, failures=STARTUP_FAILURES),
        liveness_probe=pods.http_probe("/livez", args.port, period=10, timeout=5),
        readiness_probe=pods.http_probe("/ready", args.port, period=5, failures=2),
        lifecycle=pods.drain(args.drain_seconds),
    )


def _secret_variables(args: "McpServerArgs") -> list[EnvVarArgs]:
    return [
        pods.env_from_secret(variable, reference.secret, reference.key)
        for variable, reference in sorted(secrets(args).items())
    ]


def _annotations(args: "McpServerArgs", config: Mapping[str, pulumi.Input[str]]) -> dict[str, pulumi.Input[str]]:
    scraped = annotations.prometheus(args.port) if args.prometheus else {}
    return {
        **scraped,
        annotations.CONFIG_CHECKSUM: pulumi.Output.all(**config).apply(annotations.checksum),
        annotations.REQUEST_BUDGET: str(args.request_budget_seconds),
    }


def _allowed_hosts(name: str, args: "McpServerArgs") -> pulumi.Output[str]:
    """The public names, and every name that the cluster's DNS has for the Services."""
    headless = naming.child(name, "headless")

    def listed(namespace: str) -> str:
        inside = [
            host
            for service in (name, headless)
            for host in (service, f"{service}.{namespace}", f"{service}.{namespace}.svc")
        ]
        full = [naming.service_host(service, namespace) for service in (name, headless)]
        return ",".join((*args.hosts, *inside, *full))

    return pulumi.Output.from_input(args.namespace).apply(listed)

"""The pods of one MCP server: their configuration, their container and how they start, serve and stop."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pulumi

from infra import naming, pods
from infra.commands import SERVE
from infra.components._program_pod import Program

if TYPE_CHECKING:
    from infra.components.mcp_server import McpServerArgs

CONTAINER = "server"


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


def program(
    args: "McpServerArgs",
    *,
    component: str,
    config_map: pulumi.Input[str],
    config: Mapping[str, pulumi.Input[str]],
    account: pulumi.Input[str],
) -> Program:
    """What its pods run."""
    return Program(
        component=component,
        container=CONTAINER,
        command=SERVE,
        image=args.image,
        namespace=args.namespace,
        port=args.port,
        resources=args.resources,
        environment=config,
        config_map=config_map,
        secret_environment=secrets(args),
        account=account,
        mount_token=args.access != "none",
        anti_affinity=args.anti_affinity,
        drain_seconds=args.drain_seconds,
        request_budget_seconds=args.request_budget_seconds,
        prometheus=args.prometheus,
        pull_secret=args.pull_secret,
    )


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

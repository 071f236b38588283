"""What `slipway gateway` reads: which servers there shall be, what may be started, and how their pods look."""

from collections.abc import Mapping

import yaml

from infra.components.gateway._args import ExternalServer, GatewayArgs
from infra.pods import Resources
from infra.ports import EXTERNAL_SERVER


def declaration(args: GatewayArgs, *, pod_labels: Mapping[str, str], secrets: Mapping[str, str]) -> str:
    """The file's text. `secrets` are the names of the servers' Secrets; their values appear nowhere."""
    said = {
        "servers": {server: _declared(given, secrets.get(server)) for server, given in args.servers.items()},
        "security": {
            "allowNpx": args.security.allow_npx,
            "allowUv": args.security.allow_uv,
            "allowCustomImages": args.security.allow_custom_images,
            "internetAccess": args.security.internet_access,
        },
        "packages": {"allow": list(args.allow), "block": list(args.block)},
        "pods": {
            "labels": dict(pod_labels),
            "port": EXTERNAL_SERVER.number,
            "resources": _quantities(args.server_resources),
        },
    }
    return yaml.safe_dump(said, sort_keys=True)


def _declared(server: ExternalServer, secret: str | None) -> dict[str, object]:
    """One server as written to the ConfigMap: what is left to its template does not appear."""
    said: dict[str, object] = {
        "enabled": server.enabled,
        "template": server.template,
        "type": server.type,
        "transport": server.transport,
        "package": server.package,
        "version": server.version,
        "image": server.image,
        "url": server.url,
        "port": server.port,
        "allowedPaths": list(server.allowed_paths) or None,
        "args": list(server.args) or None,
        "environment": dict(server.environment) or None,
        "secretEnvironment": None
        if secret is None
        else {variable: {"secret": secret, "key": variable} for variable in sorted(server.secret_environment)},
    }
    return {key: value for key, value in said.items() if value is not None}


def _quantities(resources: Resources) -> dict[str, dict[str, str]]:
    return {
        "requests": {"cpu": resources.cpu_request, "memory": resources.memory_request},
        "limits": {"cpu": resources.cpu_limit, "memory": resources.memory_limit},
    }

"""From a launch spec to a pod: one container, restricted, with a cache that goes with it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final, Literal

from app.gateway.launcher import LaunchError
from app.gateway.pods.options import DIGEST, FETCHED, GATEWAY, INTERNET, REACHED, SERVER, PodOptions
from app.gateway.spec import LaunchSpec
from app.kubernetes import Object

Reached = Literal["http", "sse", "websocket", "exec", "attach"]

CONTAINER: Final = "server"
_CACHE: Final = "/cache"
_PACKAGES: Final = ("npx", "uv")
_CACHES: Final = {
    "npm_config_cache": f"{_CACHE}/npm",
    "npm_config_update_notifier": "false",
    "UV_CACHE_DIR": f"{_CACHE}/uv",
    "UV_TOOL_DIR": f"{_CACHE}/uv-tools",
    "UV_PYTHON_INSTALL_DIR": f"{_CACHE}/uv-python",
    "UV_LINK_MODE": "copy",
    "MCP_PACKAGES_PATH": f"{_CACHE}/packages",
}
_NAME: Final = 63
_PROBED: Final = 1


def pod_name(options: PodOptions, server: str, digest: str, suffix: str = "") -> str:
    """A DNS label; the same for the same server of the same gateway, but for the suffix."""
    end = f"-{digest[:8]}{suffix}"
    start = f"{options.gateway}-{server}"
    if len(start) + len(end) > _NAME:
        start = f"{start[: _NAME - len(end) - 7]}-{hashlib.sha256(start.encode()).hexdigest()[:6]}"
    return f"{start}{end}"


def reached_by(spec: LaunchSpec) -> Reached:
    """How a server in a pod is spoken to: what speaks on its streams has a bridge, or none in a foreign image."""
    if spec.transport != "stdio":
        return spec.transport
    if spec.type != "image":
        return "http"
    return "exec" if spec.command else "attach"


def manifest(spec: LaunchSpec, options: PodOptions, name: str, owner: Object | None) -> Object:
    """The pod of a server. Raises `LaunchError` for what cannot be one."""
    reached = reached_by(spec)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": options.namespace,
            "labels": _labels(spec, options),
            "annotations": {
                DIGEST: spec.digest(),
                REACHED: reached,
                **({FETCHED: options.fetched()} if spec.type in _PACKAGES else {}),
                # It keeps nothing, and is made anew elsewhere.
                "cluster-autoscaler.kubernetes.io/safe-to-evict": "true",
            },
            **({} if owner is None else {"ownerReferences": [owner]}),
        },
        "spec": {
            "containers": [_container(spec, options, reached)],
            "restartPolicy": "Always",
            "terminationGracePeriodSeconds": options.grace,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": options.user,
                "runAsGroup": options.user,
                "fsGroup": options.user,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "tolerations": [
                {
                    "key": f"node.kubernetes.io/{trouble}",
                    "operator": "Exists",
                    "effect": "NoExecute",
                    "tolerationSeconds": options.elsewhere_after,
                }
                for trouble in ("not-ready", "unreachable")
            ],
            "volumes": [
                {"name": "cache", "emptyDir": {"sizeLimit": options.cache_size}},
                {"name": "tmp", "emptyDir": {"sizeLimit": options.scratch_size}},
            ],
            **({} if options.pull_secret is None else {"imagePullSecrets": [{"name": options.pull_secret}]}),
        },
    }


def trial(options: PodOptions) -> Object:
    """A pod that is only asked about: whether one of ours would be taken."""
    spec = LaunchSpec(id="trial", type="npx", transport="stdio", command=("true",))
    return manifest(spec, options, pod_name(options, "trial", spec.digest()), None)


def _labels(spec: LaunchSpec, options: PodOptions) -> dict[str, str]:
    given = {name: value for name, value in options.labels.items() if name != INTERNET}
    if spec.internet:
        given[INTERNET] = "true"
    return {**given, GATEWAY: options.gateway, SERVER: spec.id}


def _container(spec: LaunchSpec, options: PodOptions, reached: Reached) -> Object:
    bridged = spec.type != "image" and spec.transport == "stdio"
    image = options.bridge_image if bridged or spec.image is None else spec.image
    port = options.port if bridged else spec.port
    container: Object = {
        "name": CONTAINER,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "env": _environment(spec, options, bridged=bridged),
        "resources": {
            "requests": {"cpu": spec.limits.cpu_request, "memory": spec.limits.memory_request},
            "limits": {"cpu": spec.limits.cpu, "memory": spec.limits.memory},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [{"name": "cache", "mountPath": _CACHE}, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
        # What a container wrote last is then part of its status.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        **_started_by(spec, options, bridged=bridged),
    }
    if spec.type in _PACKAGES and options.environment_secret is not None:
        # For the one that installs the package, which is the bridge's child where there is a bridge.
        prefix = {"prefix": options.child_prefix} if bridged else {}
        container["envFrom"] = [{**prefix, "secretRef": {"name": options.environment_secret}}]
    if port is not None and reached not in ("exec", "attach"):
        container["ports"] = [{"name": "mcp", "containerPort": port, "protocol": "TCP"}]
        container |= _probes(options, ours=bridged or spec.type == "archon")
    elif reached == "attach":
        container |= {"stdin": True, "stdinOnce": True}
    elif reached == "exec":
        container |= {"stdin": True}
    return container


def _started_by(spec: LaunchSpec, options: PodOptions, *, bridged: bool) -> Object:
    words = [_plain(word) for word in spec.command]
    if bridged:
        if not words:
            raise LaunchError(f"{spec.id!r} has no command: give a package")
        idle = [] if spec.idle_seconds is None else ["--idle", f"{max(1.0, spec.idle_seconds):g}"]
        bridge = ["slipway", "bridge", "--port", str(options.port), "--give-up", *idle, "--"]
        return {"command": [*bridge, *words]}
    if spec.type == "archon":
        return {"command": ["slipway", "serve", *words]}
    if spec.type in _PACKAGES:
        return {"command": words}
    if spec.image is None:
        raise LaunchError(f"{spec.id!r} names no image: give one")
    # An image that is spoken to on its streams runs the words; any other gives them to its entry point.
    return {} if not words else {"command" if spec.transport == "stdio" else "args": words}


def _environment(spec: LaunchSpec, options: PodOptions, *, bridged: bool) -> list[Object]:
    package = spec.type in _PACKAGES
    around: Mapping[str, str] = {**_CACHES, **options.environment} if package else {}
    prefix = options.child_prefix if bridged else ""
    given: list[Object] = [
        {"name": f"{prefix}{name}", "value": _plain(value)}
        for name, value in sorted({**around, **spec.environment}.items())
        if name not in spec.secret_environment
    ]
    given += [
        {"name": f"{prefix}{name}", "valueFrom": {"secretKeyRef": {"name": ref.secret, "key": ref.key}}}
        for name, ref in sorted(spec.secret_environment.items())
    ]
    if bridged:
        # The bridge itself is told little: where it listens, and what its one child may use.
        own = {"MCP_HOST": "0.0.0.0", "MCP_SERVER_MEMORY_LIMIT": spec.limits.memory}  # noqa: S104
        given += [{"name": name, "value": value} for name, value in own.items()]
    return given


def _probes(options: PodOptions, *, ours: bool) -> Object:
    ready: Object = {"httpGet": {"path": "/ready", "port": "mcp"}} if ours else {"tcpSocket": {"port": "mcp"}}
    alive: Object = {"httpGet": {"path": "/livez", "port": "mcp"}} if ours else {"tcpSocket": {"port": "mcp"}}
    return {
        "startupProbe": {
            **ready,
            "periodSeconds": _PROBED,
            "timeoutSeconds": 5,
            "failureThreshold": options.starts_within // _PROBED,
        },
        "readinessProbe": {**ready, "periodSeconds": 10, "timeoutSeconds": 5},
        "livenessProbe": {**alive, "periodSeconds": 15, "timeoutSeconds": 5, "failureThreshold": 4},
    }


def _plain(text: str) -> str:
    """Kubernetes puts the value of NAME where a word has $(NAME): not in ours."""
    return text.replace("$", "$$")

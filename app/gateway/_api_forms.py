"""What the Python API takes and gives: plain dictionaries, checked by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, get_args

import msgspec

from app.gateway.manager.model import Problem, Refused, ServerStatus
from app.gateway.spec import ServerSpec, ServerType, Transport

_NOT_OF_THE_SPEC = ("name", "server_id", "ttl_seconds", "replace")
# Other names of the same things.
_ALSO = {"server_type": "type", "env": "environment", "secret_env": "secret_environment"}
_NAMES = {field: name for name, field in _ALSO.items()}
_CHOICES: dict[str, tuple[str, ...]] = {"type": get_args(ServerType), "transport": get_args(Transport)}


class ServerConfig(TypedDict, total=False):
    """A server to start: `server_type` with what it runs, or a `template`. What is left out, the template decides."""

    name: str
    template: str
    server_type: str
    """npx (npm), uv (PyPI), archon (our own image), image or remote."""
    package: str
    version: str
    image: str
    url: str
    transport: str
    port: int
    args: Sequence[str]
    env: Mapping[str, str]
    secret_env: Mapping[str, Mapping[str, str]]
    """Variables by the Kubernetes Secret and key that hold them: `{"TOKEN": {"secret": …, "key": …}}`."""
    allowed_paths: Sequence[str]
    ttl_seconds: float
    replace: bool
    """Whether it takes the place of a server of that name that differs."""


class ServerReport(TypedDict):
    """One server as it is now; nothing in it is secret."""

    server_id: str
    name: str
    status: str
    """pending, resolving, starting, initializing, ready, degraded, failed or stopping."""
    reason: str
    """Why it is not simply ready."""
    tools: int
    prompts: int
    resources: int
    stale: bool
    package: str | None
    spec: dict[str, object]
    source: str
    created: float
    expires: float | None
    seconds_to_ready: float | None
    restarts: int
    problems: list[str]


class HealthReport(TypedDict):
    """Whether servers can be started, and how those that run are."""

    healthy: bool
    reason: str
    servers: dict[str, str]
    """The status of each by its id."""


class ServerHealth(TypedDict):
    """Whether one server answers a harmless request now."""

    server_id: str
    status: str
    healthy: bool
    seconds: float | None
    reason: str


def read_config(config: Mapping[str, Any]) -> tuple[str | None, ServerSpec, float | None, bool]:
    """Name, spec, time to live and whether to replace. Raises `Refused` with every field that is wrong."""
    problems: list[Problem] = []
    given = {_ALSO.get(key, key): value for key, value in config.items() if value is not None}
    name = given.get("name", given.get("server_id"))
    ttl, replace = given.get("ttl_seconds"), given.get("replace", False)
    for field, value, kind in (("name", name, str), ("ttl_seconds", ttl, int | float), ("replace", replace, bool)):
        if value is not None and not isinstance(value, kind):
            called = kind.__name__ if isinstance(kind, type) else str(kind)
            problems.append(_wrong(field, repr(value)[:80], f"is wrong: give a value of the type {called}"))
    fields = {info.name: info for info in msgspec.structs.fields(ServerSpec) if info.name != "enabled"}
    known = sorted({*fields, *_ALSO, *_NOT_OF_THE_SPEC} - {"type", "environment", "secret_environment"})
    values: dict[str, Any] = {}
    for key, value in given.items():
        if key in _NOT_OF_THE_SPEC:
            continue
        if key not in fields:
            problems.append(_wrong(key, "this field", f"is unknown: give {', '.join(known)}"))
            continue
        try:
            values[key] = msgspec.convert(value, fields[key].type)
        except msgspec.ValidationError as error:
            message = str(error).partition(" - at `$")[0]
            told = f"give {', '.join(_CHOICES[key])}" if key in _CHOICES else f"{message[:1].lower()}{message[1:]}"
            # Of the others the value may be a secret.
            shown = repr(value)[:80] if key in _CHOICES else "its value"
            problems.append(_wrong(_NAMES.get(key, key), shown, f"is wrong: {told}"))
    if problems:
        raise Refused(problems)
    return name, ServerSpec(**values), ttl, replace


def report(status: ServerStatus) -> ServerReport:
    """A status as a plain dictionary."""
    return {
        "server_id": status.id,
        "name": status.name,
        "status": status.phase,
        "reason": status.reason,
        "tools": status.tools,
        "prompts": status.prompts,
        "resources": status.resources,
        "stale": status.stale,
        "package": status.package,
        "spec": dict(status.spec),
        "source": status.source,
        "created": status.created,
        "expires": status.expires,
        "seconds_to_ready": status.seconds_to_ready,
        "restarts": status.restarts,
        "problems": list(status.problems),
    }


def _wrong(field: str, value: str, remedy: str) -> Problem:
    return Problem(field=field, value=value, remedy=remedy)

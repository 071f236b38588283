"""What has to be written to run a template: in a stack, in the gateway's file, over REST and on the command line."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import cast

from app.gateway.templates._template import Setting, Template, template_name


def server_key(name: str) -> str:
    """The usual key of a template's server: `brave-search` is `braveSearch`."""
    first, *others = template_name(name).split("-")
    return first + "".join(part.capitalize() for part in others)


def stack_snippet(
    template: Template, key: str | None = None, given: Mapping[str, str] | None = None, paths: Sequence[str] = ()
) -> str:
    """The part of `Pulumi.<stack>.yaml`, and the commands that keep its secrets."""
    import yaml

    key = key or server_key(template.name)
    server, secrets = _server(template, key, given or {}, paths)
    server.update({"secretEnvironment": {name: secret_key(template, key, name) for name in secrets}} if secrets else {})
    said = {"config": {"slipway:gateway": {"enabled": True, "servers": {key: server}}}}
    kept = [shlex.quote(f"slipway:secrets.{secret_key(template, key, name)}") for name in secrets]
    lines = [f"pulumi config set --secret --path {path}" for path in kept]
    return _commented(template) + yaml.safe_dump(said, sort_keys=False, allow_unicode=True) + _commands(lines)


def gateway_snippet(
    template: Template, key: str | None = None, given: Mapping[str, str] | None = None, paths: Sequence[str] = ()
) -> str:
    """The part of the file that `slipway gateway --config` reads, with secrets by reference."""
    import yaml

    key = key or server_key(template.name)
    server, secrets = _server(template, key, given or {}, paths)
    if secrets:
        server["secretEnvironment"] = {name: {"secret": template_name(key), "key": name} for name in secrets}
    return _commented(template) + yaml.safe_dump({"servers": {key: server}}, sort_keys=False, allow_unicode=True)


def rest_body(
    template: Template, key: str | None = None, given: Mapping[str, str] | None = None, paths: Sequence[str] = ()
) -> str:
    """The body of `POST /servers`."""
    key = key or server_key(template.name)
    server, secrets = _server(template, key, given or {}, paths)
    body = {"name": key, "template": template.name, **server}
    if secrets:
        body["environment"] = {**_mapping(server.get("environment")), **{name: f"<{name}>" for name in secrets}}
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def command_line(
    template: Template, key: str | None = None, given: Mapping[str, str] | None = None, paths: Sequence[str] = ()
) -> str:
    """The command that starts it in a running gateway. Secrets come from a file: no list of processes shows them."""
    key = key or server_key(template.name)
    server, secrets = _server(template, key, given or {}, paths)
    words = ["slipway", "servers", "start", key, "--template", template.name]
    for name, value in _mapping(server.get("environment")).items():
        words += ["--env", f"{name}={value}"]
    for path in paths or _paths(template):
        words += ["--allowed-path", path]
    if secrets:
        words += ["--env-file", f"{template_name(key)}.env"]
    comment = f"# {template_name(key)}.env has: {', '.join(f'{name}=…' for name in secrets)}\n" if secrets else ""
    return comment + shlex.join(words) + "\n"


def secret_key(template: Template, key: str, variable: str) -> str:
    """The key under `slipway:secrets` for a server's secret; a server with a name of its own has secrets of its own."""
    words = variable.lower().split("_")
    if template_name(key) != template.name:
        words = [key, *words]
    return words[0] + "".join(word.capitalize() for word in words[1:])


def _server(
    template: Template, key: str, given: Mapping[str, str], paths: Sequence[str]
) -> tuple[dict[str, object], list[str]]:
    """The server as declared, and the names of its secrets."""
    server: dict[str, object] = {}
    if template_name(key) != template.name:
        server["template"] = template.name
    shown = {setting.name: setting for setting in _wanted(template)}
    plain = {name: setting.example or f"<{name}>" for name, setting in shown.items() if not setting.secret}
    # What is known to be a secret is asked for, and never written down here, even if it was given.
    secrets = {name for name, setting in shown.items() if setting.secret}
    for name, value in given.items():
        setting = template.setting(name)
        if setting is not None and setting.secret:
            secrets.add(name)
        else:
            plain[name] = value
    if chosen := list(paths) or _paths(template):
        server["allowedPaths"] = chosen
    if plain:
        server["environment"] = plain
    return server, sorted(secrets)


def _wanted(template: Template) -> list[Setting]:
    """The settings that have to be given: the required ones, and the first of each group of which one is needed."""
    names = {setting.name for setting in template.settings if setting.required} | {
        group[0] for group in template.one_of
    }
    return [setting for setting in template.settings if setting.name in names]


def _paths(template: Template) -> list[str]:
    if template.paths is None or not template.paths.required:
        return []
    return ["/data"] if template.paths.many else ["/data/file"]


def _commented(template: Template) -> str:
    lines = [f"{template.title}: {template.description}"]
    if template.deprecated:
        successor = f" Use {template.deprecated.successor} instead." if template.deprecated.successor else ""
        lines.append(f"Deprecated: {template.deprecated.reason}{successor}")
    if template.needs:
        lines.append(f"It needs {template.needs}.")
    return "".join(f"# {line}\n" for line in lines)


def _commands(lines: Sequence[str]) -> str:
    return "".join(f"# {line}\n" for line in lines)


def _mapping(value: object) -> dict[str, str]:
    return cast("dict[str, str]", value) if isinstance(value, dict) else {}

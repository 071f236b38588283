"""What may be shown of a spec: values that can be secrets are not."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import msgspec

from app.gateway.manager.model import Problem
from app.gateway.spec import ServerSpec

HIDDEN = "(hidden)"
_TELLING = re.compile(r"(?i)(token|secret|passw|api[-_]?key|auth|credential|private)")
_LONG_RANDOM = re.compile(r"(?:sk|pk|gh[a-z]|xox[a-z]|glpat|eyJ)[-_A-Za-z0-9.]{12,}")


def shown_spec(spec: ServerSpec) -> dict[str, object]:
    """The spec as it was declared, with every value of the environment and what looks like a secret hidden."""
    said: dict[str, Any] = msgspec.to_builtins(spec)
    defaults: dict[str, Any] = msgspec.to_builtins(ServerSpec())
    kept = {key: value for key, value in said.items() if value != defaults[key]}
    if "environment" in kept:
        kept["environment"] = dict.fromkeys(spec.environment, HIDDEN)
    if "args" in kept:
        kept["args"] = shown_arguments(spec.args)
    if spec.url:
        kept["url"] = shown_url(spec.url)
    return kept


def shown_arguments(arguments: tuple[str, ...]) -> list[str]:
    """Arguments, without what follows `--api-key` or stands in a URL's login."""
    shown: list[str] = []
    hide_next = False
    for argument in arguments:
        name, equals, _ = argument.partition("=")
        if hide_next and not argument.startswith("-"):
            shown.append(HIDDEN)
        elif equals and _TELLING.search(name):
            shown.append(f"{name}={HIDDEN}")
        elif "://" in argument:
            shown.append(shown_url(argument))
        else:
            shown.append(_LONG_RANDOM.sub(HIDDEN, argument))
        hide_next = argument.startswith("-") and not equals and bool(_TELLING.search(argument))
    return shown


def shown_url(url: str) -> str:
    """A URL without login and query, where secrets stand."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return HIDDEN
    host = parts.netloc.rpartition("@")[2]
    login = f"{HIDDEN}@" if "@" in parts.netloc else ""
    return urlunsplit((parts.scheme, login + host, parts.path, HIDDEN if parts.query else "", ""))


def differences(running: ServerSpec, asked: ServerSpec) -> list[Problem]:
    """In what two specs differ; values that can be secrets are not shown."""
    old, new = shown_spec(running), shown_spec(asked)
    found: list[Problem] = []
    for name, key in zip(ServerSpec.__struct_fields__, ServerSpec.__struct_encode_fields__, strict=True):
        if getattr(running, name) != getattr(asked, name):
            value = _short(new.get(key))
            found.append(Problem(field=key, value=value, remedy=f"was asked for, and {_short(old.get(key))} runs"))
    return found


def _short(value: object) -> str:
    text = "nothing" if value is None else repr(value)
    return text if len(text) <= 120 else f"{text[:117]}…"

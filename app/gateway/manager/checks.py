"""What is wrong with a spec before anybody is asked: contradictions, and text that is no value of its kind.

What a template brings, and what may run at all, the resolver knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from app.gateway.manager.model import Problem
from app.gateway.manager.shown import HIDDEN, shown_arguments, shown_url
from app.gateway.spec import ServerSpec

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PACKAGE = re.compile(r"(?:@[A-Za-z0-9._~-]+/)?[A-Za-z0-9][A-Za-z0-9._~-]*")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_SCHEMES = ("http", "https", "ws", "wss")


def spec_problems(spec: ServerSpec) -> list[Problem]:
    """Every problem of one spec, by field."""
    return [*_what(spec), *_values(spec), *_settings(spec)]


def _what(spec: ServerSpec) -> Iterator[Problem]:
    given = [field for field in ("package", "image", "url") if getattr(spec, field)]
    if len(given) > 1:
        yield Problem(
            field=given[1], value=repr(getattr(spec, given[1])), remedy=f"contradicts {given[0]}: give one of them"
        )


def _values(spec: ServerSpec) -> Iterator[Problem]:
    if spec.package and not _PACKAGE.fullmatch(spec.package):
        remedy = "is no package name: give it as the registry writes it, and the version in version"
        yield Problem(field="package", value=repr(spec.package[:120]), remedy=remedy)
    if spec.url is not None and not _is_address(spec.url):
        remedy = f"is no address of a server: begin with {', '.join(f'{scheme}://' for scheme in _SCHEMES)}"
        yield Problem(field="url", value=repr(shown_url(spec.url)[:120]), remedy=remedy)
    if spec.port is not None and not 1 <= spec.port <= 65_535:
        yield Problem(field="port", value=repr(spec.port), remedy="is no port: give 1 to 65535")
    for field in ("template", "version", "image"):
        text = getattr(spec, field)
        if text is not None and (not text or not text.isprintable() or text != text.strip() or text.startswith("-")):
            yield Problem(field=field, value=repr(text[:120]), remedy="is empty, or has spaces or control characters")
    for number, path in enumerate(spec.allowed_paths):
        if not path.startswith("/") or not path.isprintable():
            remedy = "is no absolute path: begin with /"
            yield Problem(field=f"allowedPaths[{number}]", value=repr(path[:120]), remedy=remedy)


def _settings(spec: ServerSpec) -> Iterator[Problem]:
    for number, argument in enumerate(spec.args):
        if "\0" in argument:
            shown = shown_arguments((argument,))[0]
            yield Problem(field=f"args[{number}]", value=repr(shown[:80]), remedy="has a NUL character: remove it")
    # What a program gets as its environment, a remote server gets as headers.
    remote = spec.url is not None or spec.type == "remote"
    right, kind = (_HEADER, "header") if remote else (_VARIABLE, "variable")
    for field, names in (("environment", spec.environment), ("secretEnvironment", spec.secret_environment)):
        for name in names:
            if not right.fullmatch(name):
                remedy = f"is no {kind} name: letters, digits and _, not beginning with a digit"
                yield Problem(field=f"{field}.{name[:80]}", value=repr(name[:80]), remedy=remedy)
    for name, value in spec.environment.items():
        if "\0" in value or (remote and ("\n" in value or "\r" in value)):
            yield Problem(field=f"environment.{name[:80]}", value=HIDDEN, remedy="has a control character: remove it")
        if name in spec.secret_environment:
            remedy = "is in secretEnvironment too: give it once"
            yield Problem(field=f"environment.{name[:80]}", value=HIDDEN, remedy=remedy)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:
        return False

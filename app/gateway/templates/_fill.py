"""A template and what a person declared, put together: arguments and environment, or every reason why not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from app.gateway.spec import SecretRef, ServerSpec
from app.gateway.templates._template import Setting, Template
from app.packages.names import NotAllowedText, argument, shown, variable_name, variable_value

Complain = Callable[[str, str], None]
"""Called with the field and what is wrong with it."""


@dataclass(slots=True)
class Filled:
    """What a server is started with, besides its program."""

    arguments: list[str] = field(default_factory=list[str])
    environment: dict[str, str] = field(default_factory=dict[str, str])
    secret_environment: dict[str, SecretRef] = field(default_factory=dict[str, SecretRef])


def fill(template: Template | None, spec: ServerSpec, complain: Complain) -> Filled:
    """What the declaration gives, completed by its template. Says all that is missing or wrong to `complain`."""
    filled = Filled()
    if template is not None:
        filled.arguments += template.arguments
        filled.environment.update(template.environment)
    _environment(template, spec, filled, complain)
    if template is not None:
        _required(template, spec, complain)
    _paths(template, spec, filled, complain)
    for index, text in enumerate(spec.args):
        if _checked(complain, f"args[{index}]", argument, text):
            filled.arguments.append(text)
    return filled


def _environment(template: Template | None, spec: ServerSpec, filled: Filled, complain: Complain) -> None:
    for name, value in spec.environment.items():
        where = f"environment.{name}"
        setting = template.setting(name) if template else None
        good = _checked(complain, where, variable_name, name)
        good &= _checked(complain, where, variable_value, value)
        if name in spec.secret_environment:
            complain(where, "is given under secretEnvironment as well: keep one of them")
        if not good:
            continue
        if setting is not None:
            _matches(setting, value, where, complain)
        if setting is not None and setting.option:
            if _checked(complain, where, argument, value):
                # One word, so that a value that begins with a dash stays a value.
                filled.arguments.append(f"{setting.option}={value}")
        else:
            filled.environment[name] = value
    for name, secret in spec.secret_environment.items():
        where = f"secretEnvironment.{name}"
        setting = template.setting(name) if template else None
        if setting is not None and setting.option:
            complain(where, f"becomes the argument {setting.option}, which is no secret: give it under environment")
        elif _checked(complain, where, variable_name, name):
            filled.environment.pop(name, None)
            filled.secret_environment[name] = secret


def _matches(setting: Setting, value: str, where: str, complain: Complain) -> None:
    if setting.pattern and re.fullmatch(setting.pattern, value) is None:
        like = f", like {setting.example}" if setting.example else ""
        said = "the given value" if setting.secret else shown(value)
        complain(where, f"{said} is wrong: {setting.description}{like}")


def _required(template: Template, spec: ServerSpec, complain: Complain) -> None:
    given = spec.environment.keys() | spec.secret_environment.keys()
    for setting in template.settings:
        if setting.required and setting.name not in given:
            complain(_field_of(setting), missing(setting))
    for group in template.one_of:
        if not given & set(group):
            names = " or ".join(group)
            complain("environment", f"has neither {names}: {template.title} needs one of them")


def missing(setting: Setting) -> str:
    """That a setting is missing, and how it is given."""
    if not setting.secret:
        like = f", like {setting.example}" if setting.example else ""
        return f"is missing: {setting.description} Give it as environment.{setting.name}{like}"
    return (
        f"is missing: {setting.description} It is a secret: in a stack, name a key of slipway:secrets under "
        f"secretEnvironment.{setting.name}; for the gateway, {{secret: …, key: …}}; locally, give it in environment"
    )


def _field_of(setting: Setting) -> str:
    return f"{'secretEnvironment' if setting.secret else 'environment'}.{setting.name}"


def _paths(template: Template | None, spec: ServerSpec, filled: Filled, complain: Complain) -> None:
    paths = template.paths if template else None
    if spec.allowed_paths and paths is None:
        which = f"the template {template.name}" if template else "a server without a template"
        complain("allowedPaths", f"means nothing to {which}: leave it out, or say it in args")
        return
    if paths is None:
        return
    if paths.required and not spec.allowed_paths and not spec.args:
        complain("allowedPaths", f"is missing: {paths.description} Give absolute paths, like [/data]")
    if not paths.many and len(spec.allowed_paths) > 1:
        complain("allowedPaths", f"has {len(spec.allowed_paths)} paths, and one is meant: {paths.description}")
    for index, path in enumerate(spec.allowed_paths):
        where = f"allowedPaths[{index}]"
        if not _checked(complain, where, argument, path):
            continue
        if not path.startswith("/") or ".." in PurePosixPath(path).parts:
            complain(where, f"{shown(path)} is wrong: write an absolute path without '..', like /var/cache")
            continue
        filled.arguments += [path] if paths.option is None else [paths.option, path]


def _checked(complain: Complain, where: str, check: Callable[[str], object], text: str) -> bool:
    try:
        check(text)
    except NotAllowedText as error:
        complain(where, str(error))
        return False
    return True

"""From a stack file's keys to a StackConfig: secrets set apart, every problem collected, no secret repeated."""

import json
from collections.abc import Iterator, Mapping, Set
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import pulumi
from pulumi.runtime import get_config_env, get_config_secret_keys_env, is_config_secret
from pulumi.runtime.config import CONFIG
from pydantic import ValidationError

from infra.config import rules
from infra.config.describe import problem, render_path, render_value
from infra.config.errors import ConfigError, Problem
from infra.config.secrets import FIXED_SECRETS, Secrets, how_to_set

if TYPE_CHECKING:
    from infra.config.stack import StackConfig

Stack = TypeVar("Stack", bound="StackConfig")

NAMESPACE: Final = "slipway"
CUSTOM: Final = "secrets"
_SECURE: Final = "secure"
_HIDDEN: Final = {_SECURE: ""}


def from_pulumi(model: type[Stack]) -> Stack:
    """The configuration of the running program."""
    config = pulumi.Config(NAMESPACE)
    known = {*get_config_env(), *CONFIG.get()}
    secret_keys = set(get_config_secret_keys_env())
    values: dict[str, object] = {}
    for full_key in sorted(known):
        name, _, key = full_key.partition(":")
        if name == NAMESPACE:
            is_secret = full_key in secret_keys or is_config_secret(full_key)
            values[key] = _hidden(key, config.require(key)) if is_secret else _decoded(config.require(key))
    parsed = from_values(model, values)
    return parsed.attach(Secrets(parsed.secrets.names, lambda key: _read(config, key)))


def from_values(model: type[Stack], values: Mapping[str, object]) -> Stack:
    """The configuration from plain values, in which a secret is `{secure: …}`."""
    plain = _text_keys(values)
    names, problems = _take_secrets(plain)
    problems += _misplaced_secrets(plain, {field.alias or name for name, field in model.model_fields.items()})
    broken = {found.path.partition(".")[0].partition("[")[0] for found in problems}
    for section in broken & set(plain):
        del plain[section]
    secrets = Secrets(names)
    config, shape_problems, broken_sections = _validated(model, plain)
    problems += [found for found in shape_problems if found.path not in broken]
    problems += rules.check(config.attach(secrets), skip=broken | broken_sections)
    if problems:
        raise ConfigError(sorted(set(problems)))
    return config.attach(secrets)


def _validated(model: type[Stack], plain: Mapping[str, object]) -> tuple[Stack, list[Problem], set[str]]:
    """The model, its problems, and the sections that have one: they read as defaults, so that rules still run."""
    try:
        return model.model_validate(plain), [], set()
    except ValidationError as error:
        schema = _schema(model)
        details = error.errors(include_url=False)
    problems = [problem(detail, schema) for detail in details]
    broken = {str(detail["loc"][0]) for detail in details}
    whole = {key: value for key, value in plain.items() if key not in broken}
    return model.model_validate({"environment": "dev", **whole}), problems, broken


@cache
def _schema(model: "type[StackConfig]") -> dict[str, Any]:
    return model.model_json_schema()


def _take_secrets(plain: dict[str, object]) -> tuple[set[str], list[Problem]]:
    """Remove the secrets from `plain`; the names of those that are set, and the ones kept in plain text."""
    found = {key: (key, plain.pop(key)) for key in FIXED_SECRETS if key in plain}
    problems: list[Problem] = []
    whole = plain.pop(CUSTOM, {})
    custom = None if _is_secure(whole) else as_mapping(whole)
    if custom is None:
        remedy = "set each with `pulumi config set --secret --path 'slipway:secrets.<key>'`"
        problems.append(Problem(CUSTOM, f"must be a mapping from keys to secrets; {remedy}"))
    for name, value in (custom or {}).items():
        path = render_path([CUSTOM, name])
        if name in FIXED_SECRETS:
            problems.append(Problem(path, f"belongs to the platform; {how_to_set(name)}"))
        elif not (name.isalnum() and name.isascii() and name[0].isalpha()):
            allowed = "letters and digits, such as braveApiKey"
            problems.append(Problem(path, f"the name {render_value(name)} is not allowed; use {allowed}"))
        else:
            found[name] = (path, value)
    for name, (path, value) in found.items():
        if not _is_secure(value):
            remedy = f"{how_to_set(name)} and replace the exposed value"
            problems.append(Problem(path, f"is a secret, but stored in plain text; {remedy}"))
    return {name for name, (_, value) in found.items() if _is_secure(value)}, problems


def _misplaced_secrets(plain: Mapping[str, object], known: Set[str]) -> list[Problem]:
    remedy = "keep secrets under `slipway:secrets` and name them in a `secretEnvironment`"
    return [
        Problem(render_path(path), f"holds a secret, which cannot be read here; {remedy}")
        for section in sorted(known & plain.keys())
        for path in _secure_paths(plain[section], (section,))
    ]


def _secure_paths(value: object, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    mapping = as_mapping(value)
    if _is_secure(value):
        yield path
    elif mapping is not None:
        for key, below in mapping.items():
            yield from _secure_paths(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(cast("list[object]", value)):
            yield from _secure_paths(below, (*path, index))


def _is_secure(value: object) -> bool:
    mapping = as_mapping(value)
    return mapping is not None and list(mapping) == [_SECURE]


def as_mapping(value: object) -> dict[str, object] | None:
    """A mapping with its keys as text, for YAML allows any; None for everything else."""
    if not isinstance(value, Mapping):
        return None
    return {str(key): below for key, below in cast("Mapping[object, object]", value).items()}


def _text_keys(value: object) -> Any:
    """A copy of a YAML value in which every key is text, as a key like `8080:` is not."""
    mapping = as_mapping(value)
    if mapping is not None:
        return {key: _text_keys(below) for key, below in mapping.items()}
    return [_text_keys(below) for below in cast("list[object]", value)] if isinstance(value, list) else value


def _decoded(text: str) -> object:
    """Pulumi hands every top-level value over as text; all but plain words are JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _hidden(key: str, text: str) -> object:
    """A stand-in for a secret value, so that nothing after this can repeat it."""
    keys = as_mapping(_decoded(text)) if key == CUSTOM else None
    return _HIDDEN if keys is None else dict.fromkeys(keys, _HIDDEN)


def _read(config: pulumi.Config, key: str) -> pulumi.Output[str]:
    if key in FIXED_SECRETS:
        return config.require_secret(key)
    values: pulumi.Output[dict[str, Any]] = config.require_secret_object(CUSTOM)
    return values.apply(lambda found: str(found[key]))

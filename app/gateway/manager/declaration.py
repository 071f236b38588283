"""The gateway's configuration file: which servers there shall be, what may be started, and how pods look."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import msgspec
import yaml

from app.gateway.catalogue.view import Choice
from app.gateway.manager.checks import spec_problems
from app.gateway.manager.model import Problem
from app.gateway.manager.naming import name_problem, server_id
from app.gateway.spec import ServerSpec

Kind = TypeVar("Kind", bound=msgspec.Struct)


class DeclaredSecurity(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What may be started at all; None leaves it to the environment."""

    allow_npx: bool | None = None
    allow_uv: bool | None = None
    allow_custom_images: bool | None = None
    internet_access: bool | None = None


class DeclaredPackages(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Patterns of packages, each with an optional range of versions; nothing in `allow` allows all."""

    allow: tuple[str, ...] = ()
    block: tuple[str, ...] = ()


class DeclaredPods(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How the pods of servers look."""

    labels: dict[str, str] = {}
    port: int | None = None
    resources: dict[str, dict[str, str]] = {}


class DeclaredView(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A virtual server: some servers, and of their tools those that a pattern of prefixed names matches."""

    servers: tuple[str, ...] | None = None
    tools: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """A file without a mistake. Servers that are not enabled are left out."""

    servers: Mapping[str, ServerSpec] = field(default_factory=dict[str, ServerSpec])
    virtual: Mapping[str, Choice] = field(default_factory=dict[str, Choice])
    security: DeclaredSecurity = field(default_factory=DeclaredSecurity)
    packages: DeclaredPackages = field(default_factory=DeclaredPackages)
    pods: DeclaredPods = field(default_factory=DeclaredPods)

    def policy(self, *more: object) -> str:
        """Equal for equal rules of what may run and how; `more` are rules that stand elsewhere."""
        rules = msgspec.json.encode([self.security, self.packages, self.pods, [repr(rule) for rule in more]])
        return hashlib.sha256(rules).hexdigest()[:16]


class DeclarationError(Exception):
    """The file is wrong; `problems` has everything that is, each with its path."""

    def __init__(self, source: str, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("; ".join(f"{source}: {problem}" for problem in problems))


def read_declaration(source: str, text: str) -> Declaration:
    """Read the file's text, YAML or JSON; `source` is its name. Raises `DeclarationError`."""
    problems: list[Problem] = []
    tree = _tree(text, problems)
    known: dict[str, Callable[[object], None]] = {}
    found: dict[str, Any] = {}

    def section(name: str, read: Callable[[object], object]) -> None:
        known[name] = lambda value: found.__setitem__(name, read(value))

    section("servers", lambda value: _servers(value, problems))
    section("virtual", lambda value: _virtual(value, problems))
    section("security", lambda value: _read("security", value, DeclaredSecurity, problems))
    section("packages", lambda value: _read("packages", value, DeclaredPackages, problems))
    section("pods", lambda value: _read("pods", value, DeclaredPods, problems))
    for name, value in tree.items():
        if name in known:
            if value is not None:
                known[name](value)
        else:
            _complain(problems, str(name), "this key", f"is unknown: give {', '.join(known)}")
    if problems:
        raise DeclarationError(source, problems)
    return Declaration(**found)


def _servers(value: object, problems: list[Problem]) -> dict[str, ServerSpec]:
    servers: dict[str, ServerSpec] = {}
    ids: dict[str, str] = {}
    for name, given in _mapping("servers", value, problems).items():
        path = f"servers.{name}"
        before = len(problems)
        if wrong := name_problem(name):
            _complain(problems, path, wrong.value, wrong.remedy)
        elif (taken := ids.setdefault(server_id(name), name)) != name:
            _complain(problems, path, repr(name), f"is the same server as {taken!r}: give it another name")
        spec = _read(path, {} if given is None else given, ServerSpec, problems)
        if len(problems) == before:
            for problem in spec_problems(spec):
                _complain(problems, f"{path}.{problem.field}", problem.value, problem.remedy)
            if spec.enabled:
                servers[name] = spec
    return servers


def _virtual(value: object, problems: list[Problem]) -> dict[str, Choice]:
    views: dict[str, Choice] = {}
    for name, given in _mapping("virtual", value, problems).items():
        if wrong := name_problem(name):
            _complain(problems, f"virtual.{name}", wrong.value, wrong.remedy)
        view = _read(f"virtual.{name}", {} if given is None else given, DeclaredView, problems)
        chosen = None if view.servers is None else tuple(server_id(server) for server in view.servers)
        views[name] = Choice(servers=chosen, tools=view.tools)
    return views


def _read(path: str, value: object, kind: type[Kind], problems: list[Problem]) -> Kind:
    """One object of the file, field by field so that every mistake is told; what is wrong is left out."""
    fields = {info.encode_name: info for info in msgspec.structs.fields(kind)}
    kept: dict[str, Any] = {}
    for name, given in _mapping(path, value, problems).items():
        if name not in fields:
            _complain(problems, f"{path}.{name}", "this key", f"is unknown: give {', '.join(fields)}")
        elif given is not None:
            try:
                kept[fields[name].name] = msgspec.convert(given, fields[name].type)
            except msgspec.ValidationError as error:
                message, _, where = str(error).partition(" - at `$")
                inside, message = where.rstrip("`"), message[:1].lower() + message[1:]
                _complain(
                    problems, f"{path}.{name}{inside}", "its value", f"is wrong: {message[:1].lower()}{message[1:]}"
                )
    return kind(**kept)


def _mapping(path: str, value: object, problems: list[Problem]) -> dict[str, object]:
    if not isinstance(value, dict):
        _complain(problems, path, type(value).__name__, "is no object: write key: value lines")
        return {}
    return {str(key): given for key, given in cast("dict[object, object]", value).items()}


def _complain(problems: list[Problem], field: str, value: str, remedy: str) -> None:
    problems.append(Problem(field=field, value=value, remedy=remedy))


class _Loader(yaml.SafeLoader):
    """As the safe loader, but a key that is there twice is a mistake, not the end of the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
            name = str(key.value)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {name!r} is there twice", key.start_mark)
            seen.add(name)
        return cast("dict[Any, Any]", super().construct_mapping(node, deep))


def _tree(text: str, problems: list[Problem]) -> dict[str, object]:
    try:
        tree: object = yaml.load(text, _Loader)  # noqa: S506 (a safe loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "somewhere"
        _complain(problems, where, "the file", f"is no YAML: {error.problem or error.context}")
        return {}
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        _complain(problems, "all of it", "the file", f"is no YAML: {str(error).partition(chr(10))[0][:200]}")
        return {}
    return {} if tree is None else _mapping("all of it", tree, problems)

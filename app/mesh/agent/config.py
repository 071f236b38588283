"""`agent-config.yaml`: what an agent offers and needs, and how often it says so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from app.mesh.agent.declaring import Declared, dependency
from app.mesh.checks import check_name, check_tags
from app.mesh.model import Dependency
from app.mesh.problems import Problem
from app.mesh.versions import VersionError, parse_range, parse_version

_PATH = re.compile(r" - at `\$\.?(.*)`$")


class ConfigError(Exception):
    """The file is wrong; every problem names its place in it."""

    def __init__(self, path: Path | None, problems: Sequence[str]) -> None:
        self.problems = tuple(f"{path}: {problem}" if path is not None else problem for problem in problems)
        super().__init__("; ".join(self.problems))


class CapabilityConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """One capability; what is left out, its function decides."""

    name: str
    version: str | UnsetType = UNSET
    timeout: float | UnsetType = UNSET
    tags: tuple[str, ...] | UnsetType = UNSET


class AgentConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file. With no `capabilities`, all that the modules declare are offered."""

    capabilities: tuple[CapabilityConfig, ...] | UnsetType = UNSET
    dependencies: tuple[str | Dependency, ...] = ()
    health_interval: float = 30
    """Seconds between heartbeats."""
    retry_attempts: int = 3
    """How often a call to another agent is tried again."""


class Offered(Struct, frozen=True):
    """An agent as it shall be now: its capabilities with their functions, and what it depends on."""

    capabilities: tuple[Declared, ...]
    dependencies: tuple[Dependency, ...]
    health_interval: float
    retry_attempts: int


def read_config(path: Path) -> AgentConfig:
    """The file's content. Raises `ConfigError`."""
    import yaml

    try:
        content: Any = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(path, [f"it cannot be read: {error.strerror or error}"]) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(path, [f"it is not YAML: {' '.join(str(error).split())}"]) from None
    try:
        return msgspec.convert({} if content is None else content, AgentConfig)
    except msgspec.ValidationError as error:
        text = str(error)
        found = _PATH.search(text)
        raise ConfigError(path, [f"{found[1] if found else 'the file'}: {_PATH.sub('', text)}"]) from None


def offered(config: AgentConfig, declared: Sequence[Declared], *, path: Path | None = None) -> Offered:
    """What the agent does, of what its modules declare and its file says. Raises `ConfigError` with every problem."""
    problems: list[str] = []
    known = {one.name: one for one in declared}
    said = config.capabilities
    chosen = list(known.values()) if said is UNSET else _chosen(said, known, problems)
    needs = [dependency(need) if isinstance(need, str) else need for need in config.dependencies]
    needs.extend(need for one in chosen for need in one.needs)
    for one in chosen:
        _check(one, problems)
    for need in needs:
        _check_need(need, problems)
    if not 1 <= config.health_interval <= 3600:
        problems.append(f"health_interval is {config.health_interval:g}: give 1 to 3600 seconds")
    if not 0 <= config.retry_attempts <= 10:
        problems.append(f"retry_attempts is {config.retry_attempts}: give 0 to 10")
    if problems:
        raise ConfigError(path, problems)
    return Offered(tuple(chosen), tuple(dict.fromkeys(needs)), config.health_interval, config.retry_attempts)


def _chosen(said: Sequence[CapabilityConfig], known: dict[str, Declared], problems: list[str]) -> list[Declared]:
    chosen: dict[str, Declared] = {}
    for at, one in enumerate(said):
        found = known.get(one.name)
        if found is None:
            has = ", ".join(known) or "none"
            problems.append(
                f"capabilities[{at}].name is '{one.name[:80]}', which no loaded module declares (they declare: {has}): "
                "name its module with --module or MCP_AGENT_MODULES, or decorate the function with @capability"
            )
        elif one.name in chosen:
            problems.append(f"capabilities[{at}].name is '{one.name}', which is there twice: give it once")
        else:
            chosen[one.name] = Declared(
                name=found.name,
                version=found.version if one.version is UNSET else one.version,
                timeout=found.timeout if one.timeout is UNSET else one.timeout,
                tags=found.tags if one.tags is UNSET else one.tags,
                needs=found.needs,
                function=found.function,
            )
    return list(chosen.values())


def _check(one: Declared, problems: list[str]) -> None:
    place = f"capability '{one.name[:80]}'"
    try:
        check_name(f"{place}: its name", one.name)
        check_tags(f"{place}: tags", one.tags)
        parse_version(one.version)
    except Problem as problem:
        problems.append(problem.detail)
    except VersionError as error:
        problems.append(f"{place}: version {error}")
    if not 0 < one.timeout <= 86_400:
        problems.append(f"{place}: timeout is {one.timeout:g}: give more than 0 and at most 86400 seconds")


def _check_need(need: Dependency, problems: list[str]) -> None:
    try:
        check_name("dependencies", need.capability)
        check_tags("dependencies", need.tags)
        parse_range(need.version or "*")
    except Problem as problem:
        problems.append(problem.detail)
    except VersionError as error:
        problems.append(f"dependency '{need.capability[:80]}': {error}")

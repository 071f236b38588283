"""How a wrong setting is found and told: the variable, its value and what would be right."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

_HIDDEN = "(hidden)"
_SECRET = re.compile(r"TOKENS?$|KEYS?$|^REDIS_URL$|^MONGODB_URI$")
# Names that other programs put into our environment: a host's own timeouts, and Kubernetes' service links.
_FOREIGN = re.compile(r"^MCP_(TOOL_)?TIMEOUT$|_SERVICE_(HOST|PORT.*)$|_PORT(_\d+_(TCP|UDP|SCTP).*)?$")


@dataclass(frozen=True, slots=True)
class SettingsProblem:
    variable: str
    value: str  # as shown: a repr, or "(hidden)" for a secret
    remedy: str

    def __str__(self) -> str:
        return f"{self.variable}={self.value} {self.remedy}"


class SettingsError(Exception):
    """One or more environment variables are wrong; `problems` has them all."""

    def __init__(self, problems: Sequence[SettingsProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in problems))


def misspelt(environ: Mapping[str, str], known: Collection[str]) -> list[SettingsProblem]:
    """Variables of ours with a slip in the name. Names that resemble none of ours belong to somebody else."""
    found: list[SettingsProblem] = []
    for name, value in environ.items():
        if not name.startswith("MCP_") or name in known or _FOREIGN.search(name):
            continue
        for meant in difflib.get_close_matches(name, known, n=1, cutoff=0.86):
            remedy = f"is not a variable of slipway. Did you mean {meant}?"
            found.append(SettingsProblem(name, _shown(meant, value), remedy))
    return found


def unreadable(files: Mapping[str, str]) -> list[SettingsProblem]:
    """Files named by variables that cannot be read."""
    return [
        SettingsProblem(variable, repr(path), "cannot be read. Name a file that this user may read.")
        for variable, path in files.items()
        if path and not (Path(path).is_file() and os.access(path, os.R_OK))
    ]


def refused(error: ValidationError, given: Mapping[str, object], expected: Mapping[str, str]) -> list[SettingsProblem]:
    """What validation found, told by variable."""
    found: list[SettingsProblem] = []
    for item in error.errors(include_url=False, include_context=False, include_input=False):
        variable = str(item["loc"][0])
        value = given.get(variable)
        reason = item["msg"].removeprefix("Value error, ")
        remedy = f"is wrong: {reason[:1].lower()}{reason[1:]}. Give {expected.get(variable, 'another value')}."
        if variable == "MCP_PORT" and str(value).startswith("tcp://"):
            remedy = "is a Kubernetes service link of a Service named mcp. Set enableServiceLinks: false on the pod."
        found.append(SettingsProblem(variable, _shown(variable, value), remedy))
    return found


def _shown(variable: str, value: object) -> str:
    return _HIDDEN if _SECRET.search(variable) else repr(value)

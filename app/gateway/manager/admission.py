"""What a person asks for, looked at: mistakes are told by field."""

from __future__ import annotations

import time

from app.gateway.manager.checks import spec_problems
from app.gateway.manager.model import Problem, Refused, Wanted
from app.gateway.manager.naming import name_problem, server_id
from app.gateway.resolving import ResolveError
from app.gateway.spec import ServerSpec

_MOST_TTL = 366 * 86_400.0


def wanted_of(name: str, spec: ServerSpec, *, by: str, ttl: float | None = None, declared: bool = False) -> Wanted:
    """The server that shall run."""
    now = time.time()
    return Wanted(
        id=server_id(name),
        name=name,
        spec=spec,
        by=by,
        source="declared" if declared else "started",
        created=now,
        expires=None if ttl is None else now + ttl,
    )


def check(name: str | None, spec: ServerSpec, ttl: float | None = None) -> None:
    """Raise `Refused` with everything that cannot be right, whatever template and registry say."""
    problems = spec_problems(spec)
    if name is not None and (wrong := name_problem(name)):
        problems.append(wrong)
    if ttl is not None and not 0 < ttl <= _MOST_TTL:
        remedy = f"is wrong: give seconds from 1 to {_MOST_TTL:.0f}"
        problems.append(Problem(field="ttlSeconds", value=repr(ttl), remedy=remedy))
    if problems:
        raise Refused(problems)


def refused(name: str, error: ResolveError) -> Refused:
    """The same by field: what is missing, or may not run."""
    prefix = f"servers.{name}."
    return Refused([Problem(field=where.removeprefix(prefix), value="", remedy=text) for where, text in error.problems])

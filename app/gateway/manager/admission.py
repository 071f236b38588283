"""What a person asks for, looked at before anything is kept: mistakes are refused, a registry that is away is not."""

from __future__ import annotations

import asyncio
import logging
import time

import msgspec

from app.gateway.manager.checks import spec_problems
from app.gateway.manager.model import Problem, Refused, Wanted
from app.gateway.manager.naming import name_problem, server_id
from app.gateway.manager.parts import Parts
from app.gateway.resolving import ResolveError
from app.gateway.spec import ServerSpec

logger = logging.getLogger("slipway.gateway.manager")

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


async def resolved(wanted: Wanted, parts: Parts) -> Wanted:
    """With what is to be launched, if the registry answers. Raises `Refused` for what may not run or lacks settings."""
    try:
        async with asyncio.timeout(parts.limits.resolve_seconds):
            launch = await parts.resolver.resolve(wanted.name, wanted.spec)
    except ResolveError as error:
        prefix = f"servers.{wanted.name}."
        raise Refused(
            [Problem(field=where.removeprefix(prefix), value="", remedy=text) for where, text in error.problems]
        ) from error
    except Exception:
        logger.info("could not be resolved yet", exc_info=True, extra={"fields": {"server": wanted.id}})
        return wanted
    launch = msgspec.structs.replace(launch, id=wanted.instance)
    return msgspec.structs.replace(wanted, launch=launch, policy=parts.policy)

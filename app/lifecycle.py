"""From ready to gone: what runs, who has to be told that the end is near, and whether we should get traffic."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

logger = logging.getLogger("slipway.lifecycle")

DrainStep = Callable[[], Awaitable[None]]
Check = Callable[[], Awaitable[None]]

_CHECK_TIMEOUT = 1.0
_CHECK_KEPT = 2.0
_NOT_CONFIGURED = "not configured"


class NotConfigured(Exception):
    """Raised by a check of what the operator has left out: told, with what to set, and no reason to be degraded."""


class Amiss(Exception):
    """Raised by a check: what is wrong, in words that /ready may show to anybody."""


class Lifecycle:
    """The state of this process. Draining begins once and does not end."""

    def __init__(self) -> None:
        self._draining = False
        self._leaving = False
        self._steps: list[DrainStep] = []

    @property
    def draining(self) -> bool:
        return self._draining

    @property
    def leaving(self) -> bool:
        """Whether whoever routes calls should look for somebody else, though everything is still served."""
        return self._leaving or self._draining

    def leave(self) -> None:
        """Turn unready and serve on: some balancers send clients back to a pod that goes for as long as it is ready."""
        self._leaving = True

    def before_exit(self, step: DrainStep) -> None:
        """Have `step` run when draining begins: tell long-lived streams to reconnect, refuse new ones."""
        self._steps.append(step)

    async def drain(self) -> None:
        """Turn unready and run every step. A step that fails is told in the log and stops no other."""
        if self._draining:
            return
        self._draining = True
        outcomes = await asyncio.gather(*(step() for step in self._steps), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                logger.error("a step of draining failed", exc_info=outcome)


@dataclass(frozen=True, slots=True)
class Health:
    """What /ready says."""

    ready: bool
    status: str
    dependencies: Mapping[str, str]


class Readiness:
    """Whether to send traffic here.

    A dependency that is down is told, not passed on: taking every replica out because the session store is away
    would end the calls that need no session too.
    """

    def __init__(self, lifecycle: Lifecycle, checks: Mapping[str, Check]) -> None:
        self._lifecycle = lifecycle
        self._checks = dict(checks)
        self._kept: tuple[float, dict[str, str]] | None = None
        self._running: asyncio.Task[dict[str, str]] | None = None

    async def health(self) -> Health:
        if self._lifecycle.leaving:
            return Health(ready=False, status="draining", dependencies={})
        dependencies = await self._dependencies()
        healthy = all(state == "ok" or state.startswith(_NOT_CONFIGURED) for state in dependencies.values())
        return Health(ready=True, status="ready" if healthy else "degraded", dependencies=dependencies)

    async def _dependencies(self) -> dict[str, str]:
        """The answers, asked for at most once in two seconds however many ask."""
        if self._kept is not None and time.monotonic() - self._kept[0] < _CHECK_KEPT:
            return self._kept[1]
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._ask())
        return await asyncio.shield(self._running)

    async def _ask(self) -> dict[str, str]:
        states = await asyncio.gather(*(_state(check) for check in self._checks.values()))
        found = dict(zip(self._checks, states, strict=True))
        self._kept = (time.monotonic(), found)
        return found


async def _state(check: Check) -> str:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT):
            await check()
    except TimeoutError:
        return "no answer"
    except NotConfigured as error:
        return f"{_NOT_CONFIGURED}: {error}"
    except Amiss as error:
        return str(error)
    except Exception as error:  # whatever a client library raises means that it is not there
        logger.debug("a dependency is unavailable", exc_info=error)
        return "unavailable"
    return "ok"

"""Being a member of the mesh: registering, heartbeats, and leaving."""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
from collections.abc import Callable
from contextlib import suppress

import msgspec

from app.mesh.agent.directory import Directory, RegistryAway, RegistryRefused
from app.mesh.model import Beat, Registered, Registration, agent_id

logger = logging.getLogger("slipway.agent")

_FIRST_WAIT = 0.5
_LONGEST_WAIT = 30.0
_REFUSED_WAIT = 30.0
_LEAVE_SECONDS = 3.0
_JITTER = 0.1


class Membership:
    """Keeps one agent registered, whatever happens to the registry.

    `describe` says what the agent is now; `load` how many calls it is answering.
    """

    def __init__(
        self,
        directory: Directory,
        describe: Callable[[], Registration],
        load: Callable[[], float],
        *,
        pod: str,
        jitter: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._directory = directory
        self._describe = describe
        self._load = load
        self._pod = pod
        self._jitter = jitter
        self._name_anew()
        self._registered: Registered | None = None
        self._asked: str | None = None
        """The id under which the registry may know us already, though it did not answer."""
        self._stale = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._trouble = "it has not answered yet"

    @property
    def joined(self) -> bool:
        """Whether the registry knows this agent, as far as we know."""
        return self._registered is not None

    async def check(self) -> None:
        """For /ready: raises while the agent is not registered. It is ready all the same."""
        if self._registered is None:
            raise RegistryAway(self._trouble)

    async def start(self) -> None:
        """Begin to join; returns at once, for an agent serves whether there is a registry or not."""
        self._task = asyncio.create_task(self._stay())

    def changed(self) -> None:
        """What the agent is has changed: tell it now."""
        self._stale = True
        self._wake.set()

    async def leave(self) -> None:
        """Deregister, as far as the registry can be reached at once; heartbeats end in any case."""
        if self._task is None:
            return
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._task = None
        known = self._asked if self._registered is None else self._registered.id
        self._registered = self._asked = None
        if known is None:
            return
        try:
            async with asyncio.timeout(_LEAVE_SECONDS):
                await self._directory.deregister(known, self._token)
        except (RegistryAway, RegistryRefused, TimeoutError) as error:
            # It will notice that there are no heartbeats any more.
            logger.warning("could not deregister: %s", str(error) or "no answer in time")
        else:
            logger.info("deregistered", extra={"fields": {"id": known}})

    def _name_anew(self) -> None:
        """A name and a secret that nobody had before: what ran under this pod's name is somebody else."""
        self._replica = f"{self._pod}-{secrets.token_hex(4)}"
        self._token = secrets.token_urlsafe(32)

    async def _stay(self) -> None:
        failed = 0
        while True:
            try:
                wait = await self._step()
                failed = 0
            except RegistryAway as error:
                failed += 1
                self._tell(str(error))
                wait = error.retry_after or min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(failed - 1, 10))
                wait = self._jitter(wait / 2, wait * 1.5)
            except RegistryRefused as error:
                failed += 1
                self._tell(f"it refuses: {error}")
                wait = self._jitter(_REFUSED_WAIT / 2, _REFUSED_WAIT * 1.5)
            except Exception:
                failed += 1
                logger.exception("keeping the registration failed")
                wait = _REFUSED_WAIT
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()

    async def _step(self) -> float:
        """Register or beat, whichever is due; the seconds until the next time."""
        if self._registered is None or self._stale:
            self._stale = False
            try:
                interval = await self._register()
            except Exception:
                self._stale = True
                raise
        else:
            interval = await self._beat(self._registered)
        # Agents that started together do not stay together.
        return self._jitter(interval * (1 - _JITTER), interval * (1 + _JITTER))

    async def _register(self) -> float:
        told = msgspec.structs.replace(self._describe(), replica=self._replica, token=self._token)
        self._asked = agent_id(told.name, self._replica)
        try:
            known = await self._directory.register(told)
        except RegistryRefused as error:
            if error.status == 409:
                self._registered = self._asked = None
                self._name_anew()
            raise
        if self._registered is None:
            fields = {"registry": self._directory.url, "id": known.id, "endpoint": told.endpoint}
            logger.info("registered", extra={"fields": fields})
        self._registered = known
        return known.interval

    async def _beat(self, known: Registered) -> float:
        answer = await self._directory.beat(Beat(known.id, self._token, self._load(), known.digest))
        result = next((one for one in answer.results if one.id == known.id), None)
        if result is None or result.status == "unknown":
            logger.warning("the registry does not know this agent any more: it is registered again")
            self._registered = None
        elif result.status == "refused":
            logger.warning("the registry takes this agent for another: it is registered under a new name")
            self._registered = None
            self._name_anew()
        elif result.resend:
            self._stale = True
        return answer.interval if self._registered is not None and not self._stale else 0.0

    def _tell(self, trouble: str) -> None:
        if trouble != self._trouble:
            logger.warning("%s; this agent goes on serving, and tries again", trouble)
        self._trouble = trouble

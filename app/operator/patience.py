"""Asks about an agent's pods when they take long to become ready, less and less often while that lasts."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import quote

from app.kubernetes import ApiError
from app.operator._labels import selector
from app.operator.kube import Kube
from app.operator.model import Agent
from app.operator.seen import Key
from app.operator.troubles import Trouble, trouble_of

# Most pods are ready before the first question.
_FIRST_SECONDS: Final = 10.0
_LONGEST_SECONDS: Final = 240.0
_MOST_PODS: Final = "20"


class _Waiting:
    """One agent that is waited for."""

    def __init__(self, generation: int, now: float) -> None:
        self.generation = generation
        self.pause = _FIRST_SECONDS
        self.due = now + self.pause
        self.trouble: Trouble | None = None


class Patience:
    """Remembers since when each agent has been waited for."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._waiting: dict[Key, _Waiting] = {}

    def forget(self, key: Key) -> None:
        self._waiting.pop(key, None)

    async def look(self, key: Key, agent: Agent, *, settled: bool) -> tuple[Trouble | None, float | None]:
        """What is known to be wrong with the pods, and in how many seconds to look again."""
        if settled:
            self.forget(key)
            return None, None
        now = asyncio.get_running_loop().time()
        waiting = self._waiting.get(key)
        if waiting is None or waiting.generation != agent.generation:
            waiting = self._waiting[key] = _Waiting(agent.generation, now)
        if now >= waiting.due:
            waiting.trouble = await self._ask(agent)
            waiting.pause = min(waiting.pause * 2, _LONGEST_SECONDS)
            waiting.due = now + waiting.pause
        return waiting.trouble, max(0.1, waiting.due - now)

    async def _ask(self, agent: Agent) -> Trouble | None:
        chosen = ",".join(f"{name}={value}" for name, value in selector(agent.name).items())
        path = f"/api/v1/namespaces/{quote(agent.namespace)}/pods"
        try:
            found = await self._kube.request("GET", path, query={"labelSelector": chosen, "limit": _MOST_PODS})
        except ApiError as error:
            if error.status == 403:
                # A role from before pods were asked about: the status says less, and all else goes on.
                return None
            raise
        return trouble_of(found["items"])

"""How an agent goes: first its pods, which deregister themselves; then what the registry still has; then the object."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from app.kubernetes import ApiError, Object
from app.operator._pods import GRACE_SECONDS
from app.operator.directory import Directory, Registered, RegistryAway
from app.operator.events import Events
from app.operator.kube import Kube
from app.operator.manifests import DEPLOYMENT
from app.operator.model import API_VERSION, FINALIZER, PLURAL
from app.operator.seen import Key, Seen, owner_of

logger = logging.getLogger("slipway.operator.farewell")

_LOOK_SECONDS: Final = 2.0
# Pods that end properly are gone by then; a node that does not answer must not keep the object for ever.
PODS_SECONDS: Final = float(GRACE_SECONDS + 30)
# How long a registry that is away, or that refuses, may hold up the end.
REGISTRY_SECONDS: Final = 30.0


class Farewell:
    """The end of agents, step by step: each look does what can be done now."""

    def __init__(
        self, kube: Kube, seen: Seen, directory: Directory, events: Events, *, now: Callable[[], datetime]
    ) -> None:
        self._kube = kube
        self._seen = seen
        self._directory = directory
        self._events = events
        self._now = now
        self._ended: dict[Key, float] = {}

    def forget(self, key: Key) -> None:
        """The agent is gone."""
        self._ended.pop(key, None)

    async def proceed(self, key: Key, body: Object) -> float | None:
        """Returns when to look again, in seconds; None when the agent may go, or is gone."""
        metadata = body["metadata"]
        if FINALIZER not in (metadata.get("finalizers") or []):
            return None
        waited = (self._now() - _when(metadata["deletionTimestamp"])).total_seconds()
        if await self._pods_run(key) and waited < PODS_SECONDS:
            return _LOOK_SECONDS
        uid = metadata["uid"]
        # A list from before the pods ended lacks those who registered late.
        ended = self._ended.setdefault(key, time.monotonic())
        if self._directory.registry is not None and not await self._directory.is_from_after(ended):
            return _LOOK_SECONDS / 2
        try:
            left = await self._deregister(key)
        except RegistryAway as error:
            if waited < REGISTRY_SECONDS:
                return _LOOK_SECONDS
            told = f"The registry was not told that this agent is gone, it will find out itself: {error}"
            await self._events.tell(key, uid, "NotDeregistered", told, kind="Warning")
            left = []
        if left and waited < REGISTRY_SECONDS:
            return _LOOK_SECONDS
        if left:
            told = f"The registry keeps {len(left)} of its entries, until their heartbeats are missed."
            await self._events.tell(key, uid, "NotDeregistered", told, kind="Warning")
        await self._release(key, body)
        return None

    async def _pods_run(self, key: Key) -> bool:
        """Delete the Deployment in the foreground: it is there for as long as a pod of it is."""
        path = DEPLOYMENT.path(*key)
        found = await self._kube.get(path)
        if found is None or (owner_of(found) or {}).get("name") != key[1]:
            return False
        if not found["metadata"].get("deletionTimestamp"):
            await self._kube.delete(path, propagation="Foreground", uid=found["metadata"]["uid"])
        return True

    async def _deregister(self, key: Key) -> list[Registered]:
        """Let go of what the registry still lists; returns what it does not let us. Raises RegistryAway."""
        registry = self._directory.registry
        if registry is None:
            return []
        listed = self._directory.of(*key)
        if listed is None:
            raise RegistryAway(self._directory.away or "it has not answered yet")
        return [replica for replica in listed if not await registry.deregister(replica.id)]

    async def _release(self, key: Key, body: Object) -> None:
        path = f"/apis/{API_VERSION}/namespaces/{key[0]}/{PLURAL}/{key[1]}"
        metadata = body["metadata"]
        left = [finalizer for finalizer in metadata["finalizers"] if finalizer != FINALIZER]
        change = {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": left}}
        try:
            await self._kube.merge(path, change)
        except ApiError as error:
            if error.status == 404:
                self._seen.agent_gone(key)
                return
            if error.status == 409:
                found = await self._kube.get(path)
                if found is not None:
                    self._seen.agent(found)
            raise


def _when(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)

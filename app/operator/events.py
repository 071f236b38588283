"""Kubernetes Events: what `kubectl describe mcpagent` shows at its end."""

from __future__ import annotations

import asyncio
import logging
import secrets
from datetime import UTC, datetime
from typing import Final, Literal

from app.kubernetes import ApiAway, ApiError, Object
from app.operator._labels import MANAGER
from app.operator.kube import Kube
from app.operator.model import API_VERSION, KIND
from app.operator.seen import Key

logger = logging.getLogger("slipway.operator.events")

_QUIET_SECONDS: Final = 300.0
_MOST_REMEMBERED: Final = 20_000
_LONGEST: Final = 1000


class Events:
    """Tells each thing once in five minutes. An event that cannot be written is let go: it is no state."""

    def __init__(self, kube: Kube, identity: str) -> None:
        self._kube = kube
        self._identity = identity
        self._told: dict[tuple[str, str, str], float] = {}

    async def tell(
        self, key: Key, uid: str, reason: str, message: str, *, kind: Literal["Normal", "Warning"] = "Normal"
    ) -> None:
        """An Event about an agent."""
        now = asyncio.get_running_loop().time()
        what = (uid, reason, message)
        if now - self._told.get(what, -_QUIET_SECONDS) < _QUIET_SECONDS:
            return
        if len(self._told) >= _MOST_REMEMBERED:
            self._told = {known: when for known, when in self._told.items() if now - when < _QUIET_SECONDS}
        self._told[what] = now
        namespace, name = key
        try:
            await self._kube.create(
                f"/api/v1/namespaces/{namespace}/events", self._event(key, uid, reason, message, kind)
            )
        except (ApiError, ApiAway) as error:
            fields = {"agent": f"{namespace}/{name}", "reason": reason, "error": str(error)}
            logger.info("an event was not written", extra={"fields": fields})

    def _event(self, key: Key, uid: str, reason: str, message: str, kind: str) -> Object:
        namespace, name = key
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{name}.{secrets.token_hex(8)}", "namespace": namespace},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": name,
                "namespace": namespace,
                "uid": uid,
            },
            "type": kind,
            "reason": reason,
            "message": message[:_LONGEST],
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": MANAGER, "host": self._identity},
            "reportingComponent": MANAGER,
            "reportingInstance": self._identity,
        }

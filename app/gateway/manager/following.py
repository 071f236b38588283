"""Serving what another replica runs: where it is, it is reached; where only its owner reaches it, through that one."""

from __future__ import annotations

from typing import cast

from app.gateway.launcher import UrlEndpoint
from app.gateway.manager.bringing_up import Attempt, NotStarted, Running
from app.gateway.manager.parts import Parts
from app.gateway.manager.store import Claim, Told
from app.gateway.spec import Transport


class OwnerFollower:
    """Finds the way to one server that another replica owns."""

    def __init__(self, parts: Parts, server_id: str) -> None:
        self._parts = parts
        self._id = server_id

    async def reach(self, claim: Claim, told: Told | None, now: Running | None) -> Running | None:
        """The connection to use; `now` when that is still right, None while there is nothing to reach."""
        if told is None or told.phase not in ("ready", "degraded"):
            return now
        endpoint = self._endpoint(claim, told)
        if now is not None and now.endpoint == endpoint:
            return now
        try:
            return await Attempt(self._parts, self._id, lambda _phase: None).reach(None, endpoint)
        except Exception as error:
            raise NotStarted(f"replica {claim.owner} runs it, and it cannot be reached from here: {error}") from error

    def _endpoint(self, claim: Claim, told: Told) -> UrlEndpoint:
        if told.url is not None:
            return UrlEndpoint(told.url, cast("Transport", told.transport))
        return UrlEndpoint(f"{claim.url}/servers/{self._id}/mcp", "http", dict(self._parts.headers))

"""Who of several operators works: whoever holds the lease, for as long as it renews it."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from app.kubernetes import ApiAway, ApiError, Object
from app.operator.kube import Kube

logger = logging.getLogger("slipway.operator.lease")

_API: Final = "coordination.k8s.io/v1"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """Seconds. A holder stops before others may begin: `give_up` is below `duration`."""

    duration: float = 15.0
    give_up: float = 10.0
    retry: float = 2.0


class Lease:
    """One candidate for a lease. Others' clocks are not trusted: a lease has expired when nobody changed it, as far as
    was seen from here, for as long as it is said to last.
    """

    def __init__(self, kube: Kube, *, namespace: str, name: str, identity: str, pace: Pace | None = None) -> None:
        self._kube = kube
        self._path = f"/apis/{_API}/namespaces/{namespace}/leases"
        self._name = name
        self._namespace = namespace
        self.identity = identity
        self.pace = pace or Pace()
        self._seen: tuple[str, float] | None = None
        self._held: Object | None = None
        self._renewed = 0.0

    @property
    def holds(self) -> bool:
        """Whether the lease is ours at this very moment, however long ago it was looked at."""
        return self._held is not None and self._now() - self._renewed < self.pace.give_up

    async def acquire(self) -> None:
        """Wait until the lease is ours."""
        while not await self._attempt():  # noqa: ASYNC110 - the API server is asked, not a variable
            await asyncio.sleep(self.pace.retry * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load

    async def keep(self) -> None:
        """Renew until the lease is lost: taken by another, or not renewed in time."""
        while self.holds:
            await asyncio.sleep(self.pace.retry)
            left = self.pace.give_up - (self._now() - self._renewed)
            try:
                async with asyncio.timeout(max(0.0, left)):
                    if not await self._attempt() and self._held is None:
                        logger.warning("another operator has the lease", extra={"fields": {"lease": self._name}})
                        return
            except TimeoutError:
                break
        self._held = None
        logger.warning("the lease could not be renewed in time", extra={"fields": {"lease": self._name}})

    async def release(self) -> None:
        """Let another begin at once."""
        held, self._held = self._held, None
        if held is None:
            return
        try:
            async with asyncio.timeout(self.pace.retry):
                # A renewal that was interrupted may have come through: what is there counts.
                lease = await self._read()
                spec: Object = (lease or {}).get("spec") or {}
                if lease is None or spec.get("holderIdentity") != self.identity:
                    return
                lease["spec"] = {**spec, "holderIdentity": "", "leaseDurationSeconds": 1}
                await self._kube.request("PUT", f"{self._path}/{self._name}", body=lease, attempts=1)
        except (ApiError, ApiAway, TimeoutError) as error:
            logger.info("the lease was not released, it will expire", extra={"fields": {"error": str(error)}})

    async def _attempt(self) -> bool:
        """Take or renew the lease, if that may be done. Whether it was."""
        began = self._now()
        try:
            lease = await self._read()
            if lease is None:
                self._held = await self._kube.request("POST", self._path, body=self._new(), attempts=1)
            elif self._may_take(lease):
                self._held = await self._kube.request(
                    "PUT", f"{self._path}/{self._name}", body=self._taken(lease), attempts=1
                )
            else:
                self._held = None
                return False
        except ApiError as error:
            # Another was faster; the next look says who.
            if error.status != 409:
                logger.warning("the lease cannot be had", extra={"fields": {"error": str(error)}})
            return False
        except ApiAway as error:
            logger.debug("the lease cannot be asked for", extra={"fields": {"error": str(error)}})
            return False
        self._renewed = began
        return True

    async def _read(self) -> Object | None:
        try:
            return await self._kube.request("GET", f"{self._path}/{self._name}", attempts=1)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def _may_take(self, lease: Object) -> bool:
        spec: Object = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        version = str(lease["metadata"].get("resourceVersion", ""))
        if self._seen is None or self._seen[0] != version:
            self._seen = (version, self._now())
        if holder in ("", self.identity):
            return True
        return self._now() - self._seen[1] > float(spec.get("leaseDurationSeconds") or self.pace.duration)

    def _new(self) -> Object:
        metadata = {"name": self._name, "namespace": self._namespace}
        return {"apiVersion": _API, "kind": "Lease", "metadata": metadata, "spec": self._terms(0, _micro())}

    def _taken(self, lease: Object) -> Object:
        spec: Object = lease.get("spec") or {}
        changes, since = int(spec.get("leaseTransitions") or 0), spec.get("acquireTime") or _micro()
        if spec.get("holderIdentity") != self.identity:
            changes, since = changes + 1, _micro()
        return {**lease, "spec": self._terms(changes, since)}

    def _terms(self, changes: int, since: str) -> Object:
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self.pace.duration)),
            "acquireTime": since,
            "renewTime": _micro(),
            "leaseTransitions": changes,
        }

    @staticmethod
    def _now() -> float:
        return time.monotonic()


def _micro() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

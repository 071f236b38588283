"""Make the cluster what an agent says, and the agent's status what the cluster is. Level-triggered, safe to repeat."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final

import msgspec

from app.operator._labels import MANAGER
from app.operator.directory import Directory
from app.operator.events import Events
from app.operator.farewell import Farewell
from app.operator.kube import ApiError, Kube
from app.operator.manifests import AUTOSCALER, CONFIG_MAP, DEPLOYMENT, KINDS, manifests
from app.operator.model import API_VERSION, FINALIZER, PLURAL, Agent, Around, InvalidSpec, Object
from app.operator.seen import Key, Owned, Part, Seen, owner_of, read
from app.operator.status import Observed, Refused, refused_status, status_of, turned
from app.operator.telemetry import OperatorMetrics

logger = logging.getLogger("slipway.operator.reconcile")

_HANDOVER: Final = f"{MANAGER}-handover"
# How long what is refused by the API server (a quota, a webhook) is left alone, unless something changes.
_REFUSED_SECONDS: Final = 30.0
_NO_MONITOR: Final = (
    "spec.serviceMonitor is set, but the cluster has no ServiceMonitor: install the Prometheus operator"
)
_WORRYING: Final = frozenset(
    {"QuotaExceeded", "PodsRefused", "Stalled", "ObjectRefused", "ObjectInTheWay", "InvalidSpec"}
)


def path_of(key: Key) -> str:
    """Where an agent is in the API."""
    return f"/apis/{API_VERSION}/namespaces/{key[0]}/{PLURAL}/{key[1]}"


class Reconciler:
    """Looks at one agent at a time; several may be looked at at once."""

    def __init__(
        self,
        kube: Kube,
        seen: Seen,
        around: Around,
        directory: Directory,
        events: Events,
        metrics: OperatorMetrics,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._kube = kube
        self._seen = seen
        self._around = around
        self._directory = directory
        self._events = events
        self._metrics = metrics
        self._now = now
        self._farewell = Farewell(kube, seen, directory, events, now=now)
        self._applied: dict[Key, dict[Part, tuple[str, str]]] = {}

    def forget(self, key: Key) -> None:
        """The agent is gone."""
        self._applied.pop(key, None)

    def recheck(self, key: Key) -> None:
        """Apply everything at the next look, as if nothing had been: what the watches missed is repaired by that."""
        self._applied.pop(key, None)

    async def look(self, key: Key) -> float | None:
        """Bring one agent in order. Returns when to look again, in seconds, if a look is needed by itself."""
        body = self._seen.agents.get(key)
        if body is None:
            self.forget(key)
            return None
        if body["metadata"].get("deletionTimestamp"):
            return await self._farewell.proceed(key, body)
        if not self._applied.get(key):
            body = await self._fresh(key)
            if body is None or body["metadata"].get("deletionTimestamp"):
                return 0.0 if body else None
        try:
            agent = Agent.read(body)
            wanted = manifests(agent, self._around)
        except InvalidSpec as error:
            generation = int(body["metadata"].get("generation", 0))
            refused = Refused("InvalidSpec", str(error))
            before: Object = body.get("status") or {}
            await self._tell(key, body, refused_status(generation, refused, before, now=self._time()))
            return None
        await self._hold(key, body)
        refused = await self._make(key, agent, wanted)
        if refused is None:
            await self._prune(key, agent, wanted)
        await self._tell(key, body, self._status(key, agent, refused))
        return None if refused is None else _REFUSED_SECONDS

    async def _fresh(self, key: Key) -> Object | None:
        """The agent as it is now: nothing is made for one that went while nobody watched."""
        body = await self._kube.get(path_of(key))
        if body is None:
            self._seen.agent_gone(key)
            self.forget(key)
            return None
        self._seen.agent(body)
        return self._seen.agents[key]

    async def _hold(self, key: Key, body: Object) -> None:
        """Be asked before the agent goes."""
        metadata = body["metadata"]
        finalizers: list[str] = metadata.get("finalizers") or []
        if FINALIZER in finalizers:
            return
        change = {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": [*finalizers, FINALIZER]}}
        try:
            self._seen.agent(await self._kube.merge(path_of(key), change))
        except ApiError as error:
            if error.status == 409:
                # Another changed the agent meanwhile: look at what it is now.
                self.recheck(key)
            raise

    async def _make(self, key: Key, agent: Agent, wanted: list[Object]) -> Refused | None:
        """Apply what is not yet as it should be. What the API server refuses for good is told, not raised."""
        applied = self._applied.setdefault(key, {})
        for manifest in wanted:
            part = _part(manifest)
            digest = _digest(manifest)
            known = self._seen.owned(key).get(part)
            if known is not None and applied.get(part) == (digest, known.fingerprint) and _scaled(manifest, known):
                continue
            try:
                if known is None and await self._is_a_strangers(key, part):
                    told = f"There is a {part[0]} {part[1]} already, which is not this agent's: rename one of them."
                    return Refused("ObjectInTheWay", told)
                await self._apply(key, agent, part, manifest, digest)
            except ApiError as error:
                if error.status == 404 and manifest["kind"] == "ServiceMonitor":
                    await self._events.tell(key, agent.uid, "NoServiceMonitor", _NO_MONITOR, kind="Warning")
                    continue
                if error.status == 409 or error.status >= 500 or error.status == 429:
                    raise
                reason = "QuotaExceeded" if "exceeded quota" in str(error) else "ObjectRefused"
                return Refused(reason, f"The cluster refuses the {part[0]} {part[1]}: {error}")
        return None

    async def _is_a_strangers(self, key: Key, part: Part) -> bool:
        """Whether an object is there that no agent of this name owns: to apply it would be to take it over."""
        found = await self._kube.get(KINDS[part[0]].path(key[0], part[1]))
        return found is not None and (owner_of(found) or {}).get("name") != key[1]

    async def _apply(self, key: Key, agent: Agent, part: Part, manifest: Object, digest: str) -> None:
        path = KINDS[part[0]].path(*_place(manifest))
        if part[0] == DEPLOYMENT.name:
            if agent.spec.autoscaling is None:
                # First, or it would scale back what is applied now.
                await self._remove(key, (AUTOSCALER.name, agent.name))
            else:
                await self._hand_over(key, agent, path)
        made = await self._kube.apply(path, manifest)
        owned = read(made, part[0], agent.uid)
        self._seen.owned(key)[part] = owned
        self._applied.setdefault(key, {})[part] = (digest, owned.fingerprint)
        self._metrics.changed(part[0], "applied")

    async def _hand_over(self, key: Key, agent: Agent, path: str) -> None:
        """Leave the number of pods as it is when it stops being ours: a field that nobody claims becomes 1."""
        known = self._seen.deployment(key)
        if known is None or not known.claims_replicas or agent.spec.autoscaling is None:
            return
        scaling = agent.spec.autoscaling
        replicas = min(max(known.replicas or 0, scaling.min_replicas), scaling.max_replicas)
        interim = {
            "apiVersion": DEPLOYMENT.api_version,
            "kind": DEPLOYMENT.name,
            "metadata": {"name": agent.name, "namespace": agent.namespace},
            "spec": {"replicas": replicas},
        }
        await self._kube.apply(path, interim, manager=_HANDOVER)

    async def _prune(self, key: Key, agent: Agent, wanted: list[Object]) -> None:
        """Delete what the agent owns and no longer wants."""
        parts = {_part(manifest) for manifest in wanted}
        for part, known in list(self._seen.owned(key).items()):
            # What an earlier agent of this name owned goes by garbage collection.
            if part in parts or known.owner != agent.uid:
                continue
            if part[0] == CONFIG_MAP.name and not self._rolled_out(key):
                # Pods of the revision before may still start from it.
                continue
            await self._remove(key, part)

    async def _remove(self, key: Key, part: Part) -> None:
        if part not in self._seen.owned(key):
            return
        path = KINDS[part[0]].path(key[0], part[1])
        found = await self._kube.get(path)
        # Only what is this agent's: a namesake of somebody else's is left alone.
        if found is not None and (owner_of(found) or {}).get("name") == key[1]:
            await self._kube.delete(path, uid=found["metadata"]["uid"])
            self._metrics.changed(part[0], "pruned")
        self._seen.owned(key).pop(part, None)
        self._applied.get(key, {}).pop(part, None)

    def _rolled_out(self, key: Key) -> bool:
        known = self._seen.deployment(key)
        if known is None or known.status is None:
            return False
        status = known.status
        counts = {int(status.get(name) or 0) for name in ("replicas", "updatedReplicas")}
        return int(status.get("observedGeneration") or 0) >= known.generation and counts == {known.replicas or 0}

    def _status(self, key: Key, agent: Agent, refused: Refused | None) -> Object:
        known = self._seen.deployment(key)
        observed = Observed(
            deployment=None if known is None else known.status,
            generation=0 if known is None else known.generation,
            desired=None if known is None else known.replicas,
            registered=self._directory.of(*key),
            registry_away=self._directory.away,
            has_registry=self._directory.registry is not None,
            refused=refused,
        )
        before: Object = self._seen.agents[key].get("status") or {}
        return status_of(agent, observed, before, now=self._time())

    async def _tell(self, key: Key, body: Object, status: Object) -> None:
        """Write the status where it changed, and an Event for each condition that turned."""
        current = self._seen.agents.get(key, body)
        before: Object = current.get("status") or {}
        if before == status:
            return
        try:
            self._seen.agent(await self._kube.merge(f"{path_of(key)}/status", {"status": status}))
        except ApiError as error:
            if error.status == 404:
                self._seen.agent_gone(key)
                return
            raise
        for condition in turned(before, status):
            worrying = condition.reason in _WORRYING
            kind = "Warning" if worrying else "Normal"
            await self._events.tell(key, current["metadata"]["uid"], condition.reason, condition.message, kind=kind)

    def _time(self) -> str:
        return self._now().isoformat(timespec="seconds").replace("+00:00", "Z")


def _part(manifest: Object) -> Part:
    return manifest["kind"], manifest["metadata"]["name"]


def _place(manifest: Object) -> tuple[str, str]:
    return manifest["metadata"]["namespace"], manifest["metadata"]["name"]


def _digest(manifest: Object) -> str:
    return blake2b(msgspec.json.encode(manifest, order="deterministic"), digest_size=12).hexdigest()


def _scaled(manifest: Object, known: Owned) -> bool:
    """Whether there are as many pods as are wanted; where an autoscaler decides, any number is."""
    if manifest["kind"] != DEPLOYMENT.name or "replicas" not in manifest["spec"]:
        return True
    return manifest["spec"]["replicas"] == known.replicas

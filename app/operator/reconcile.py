"""Make the cluster what an agent says, and the agent's status what the cluster is. Level-triggered, safe to repeat."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from app.kubernetes import ApiError, Object
from app.operator._labels import MANAGER
from app.operator.directory import Directory
from app.operator.events import Events
from app.operator.farewell import Farewell
from app.operator.kube import Kube
from app.operator.manifests import AUTOSCALER, CONFIG_MAP, DEPLOYMENT, KINDS, MONITOR, manifests
from app.operator.model import API_VERSION, FINALIZER, PLURAL, Agent, Around, InvalidSpec
from app.operator.ownership import digest, substance
from app.operator.patience import Patience
from app.operator.seen import Key, Part, Seen, owner_of, read
from app.operator.status import Observed, Refused, is_settled, refused_status, status_of, told_by
from app.operator.telemetry import OperatorMetrics
from app.operator.troubles import Trouble

logger = logging.getLogger("slipway.operator.reconcile")

_HANDOVER: Final = f"{MANAGER}-handover"
# How long what is refused by the API server (a quota, a webhook) is left alone, unless something changes.
_REFUSED_SECONDS: Final = 30.0
_NO_MONITOR: Final = (
    "spec.serviceMonitor is set, but the cluster has no ServiceMonitor: install the Prometheus operator"
)


class NamespaceGoes(Exception):
    """Nothing can be made in a namespace that is being deleted, with the agents in it."""


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
        self._patience = Patience(kube)
        self._applied: dict[Key, dict[Part, tuple[str, str]]] = {}

    def forget(self, key: Key) -> None:
        """The agent is gone."""
        self._applied.pop(key, None)
        self._patience.forget(key)
        self._farewell.forget(key)

    async def look(self, key: Key) -> float | None:
        """Bring one agent in order. Returns when to look again, in seconds, if a look is needed by itself."""
        body = self._seen.agents.get(key)
        if body is None:
            self.forget(key)
            return None
        if body["metadata"].get("deletionTimestamp"):
            return await self._farewell.proceed(key, body)
        try:
            agent = Agent.read(body)
            wanted = manifests(agent, self._around)
        except InvalidSpec as error:
            generation = int(body["metadata"].get("generation", 0))
            refused = Refused("InvalidSpec", str(error))
            before: Object = body.get("status") or {}
            await self._tell(key, body, refused_status(generation, refused, before, now=self._time()))
            return None
        if not await self._hold(key, body):
            return 0.0
        try:
            refused = await self._make(key, agent, wanted)
        except NamespaceGoes:
            return _REFUSED_SECONDS
        if refused is None:
            await self._prune(key, agent, wanted)
        known = self._seen.deployment(key)
        settled = known is not None and is_settled(known.status, known.generation, known.replicas)
        trouble, again = (None, None) if refused else await self._patience.look(key, agent, settled=settled)
        await self._tell(key, body, self._status(key, agent, refused, trouble))
        return again if refused is None else _REFUSED_SECONDS

    async def _hold(self, key: Key, body: Object) -> bool:
        """Be asked before the agent goes. Whether the agent is as it was known to be."""
        metadata = body["metadata"]
        finalizers: list[str] = metadata.get("finalizers") or []
        if FINALIZER in finalizers:
            return True
        change = {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": [*finalizers, FINALIZER]}}
        try:
            self._seen.agent(await self._kube.merge(path_of(key), change))
        except ApiError as error:
            if error.status not in (404, 409):
                raise
            # It changed meanwhile, or went, which the watch has not told yet.
            found = await self._kube.get(path_of(key))
            if found is None:
                self._seen.agent_gone(key)
            else:
                self._seen.agent(found)
            return False
        return True

    async def _make(self, key: Key, agent: Agent, wanted: list[Object]) -> Refused | None:
        """Apply what is not yet as it should be. What the API server refuses for good is told, not raised."""
        applied = self._applied.setdefault(key, {})
        for manifest in wanted:
            part, meant = _part(manifest), digest(substance(manifest))
            known = self._seen.owned(key).get(part)
            # The API server writes some values in its own way: what it made of ours once is as good.
            if known is not None and (known.fingerprint == meant or applied.get(part) == (meant, known.fingerprint)):
                continue
            if part[0] in self._seen.missing:
                await self._events.tell(key, agent.uid, "NoServiceMonitor", _NO_MONITOR, kind="Warning")
                continue
            try:
                if not await self._apply(key, agent, part, manifest, meant):
                    told = f"There is a {part[0]} {part[1]} already, which is not this agent's: rename one of them."
                    return Refused("ObjectInTheWay", told)
            except ApiError as error:
                if error.status == 404 and part[0] == MONITOR.name:
                    # Its definition has just gone: that is told when it is looked for next.
                    self._seen.missing.add(part[0])
                    continue
                if error.status == 409 or error.status >= 500 or error.status == 429:
                    raise
                if error.status == 403 and "being terminated" in str(error):
                    raise NamespaceGoes from None
                reason = "QuotaExceeded" if "exceeded quota" in str(error) else "ObjectRefused"
                return Refused(reason, f"The cluster refuses the {part[0]} {part[1]}: {error}")
        return None

    async def _apply(self, key: Key, agent: Agent, part: Part, manifest: Object, meant: str) -> bool:
        """Whether it was: an object that no agent of this name owns is not taken over."""
        path = KINDS[part[0]].path(*_place(manifest))
        if part[0] == DEPLOYMENT.name:
            if agent.spec.autoscaling is None:
                # First, or it would scale back what is applied now.
                await self._remove(key, (AUTOSCALER.name, agent.name))
            else:
                await self._hand_over(key, agent, path)
        made = None if part in self._seen.owned(key) else await self._kube.apply_new(path, manifest)
        if made is None:
            if part not in self._seen.owned(key):
                found = await self._kube.get(path)
                if found is not None and (owner_of(found) or {}).get("name") != key[1]:
                    return False
            made = await self._kube.apply(path, manifest)
        owned = read(made, part[0], agent.uid)
        self._seen.owned(key)[part] = owned
        self._applied.setdefault(key, {})[part] = (meant, owned.fingerprint)
        self._metrics.changed(part[0], "applied")
        return True

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
        counts = {int(known.status.get(name) or 0) for name in ("replicas", "updatedReplicas")}
        caught_up = int(known.status.get("observedGeneration") or 0) >= known.generation
        return caught_up and counts == {known.replicas or 0}

    def _status(self, key: Key, agent: Agent, refused: Refused | None, trouble: Trouble | None) -> Object:
        known = self._seen.deployment(key)
        observed = Observed(
            deployment=None if known is None else known.status,
            generation=0 if known is None else known.generation,
            desired=None if known is None else known.replicas,
            registered=self._directory.of(*key),
            registry_away=self._directory.away,
            has_registry=self._directory.registry is not None,
            refused=refused,
            trouble=trouble,
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
        uid = current["metadata"]["uid"]
        for reason, message, kind in told_by(before, status):
            await self._events.tell(key, uid, reason, message, kind=kind)

    def _time(self) -> str:
        return self._now().isoformat(timespec="seconds").replace("+00:00", "Z")


def _part(manifest: Object) -> Part:
    return manifest["kind"], manifest["metadata"]["name"]


def _place(manifest: Object) -> tuple[str, str]:
    return manifest["metadata"]["namespace"], manifest["metadata"]["name"]

"""`status` of an `MCPAgent`: what is, in sentences. Pure: the same observations give the same status."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple, cast

import msgspec

from app.kubernetes import Object
from app.operator._labels import selector
from app.operator.directory import Registered
from app.operator.model import Agent
from app.operator.troubles import Trouble

AVAILABLE: Final = "Available"
PROGRESSING: Final = "Progressing"
REGISTERED: Final = "Registered"

_MOST_LISTED = 1000
_LONGEST_MESSAGE = 2000
# How every agent begins, which is no news.
_BEGINNINGS = frozenset({"NoReadyPods", "NotRegistered", "NotAsked", "NoRegistry"})
_GOOD = frozenset({"PodsReady", "ScaledToZero", "Complete", "RollingOut", "Registered", "NotAsked", "NoRegistry"})


class Refused(NamedTuple):
    """Why an object of the agent could not be made."""

    reason: str
    message: str


class Observed(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator saw of one agent."""

    deployment: Object | None = None
    """The Deployment's own status; None while there is none."""
    generation: int = 0
    """The Deployment's generation, which its status may not have caught up with."""
    desired: int | None = None
    """How many pods the Deployment is told to run."""
    registered: tuple[Registered, ...] | None = None
    """Its replicas in the registry; None when the registry does not say."""
    registry_away: str | None = None
    has_registry: bool = True
    refused: Refused | None = None
    trouble: Trouble | None = None
    """Why pods are not ready, where that was looked for and found."""


class Condition(NamedTuple):
    kind: str
    status: str
    reason: str
    message: str


class _Pods(NamedTuple):
    """The numbers of a Deployment's status."""

    all: int
    ready: int
    updated: int
    desired: int


def status_of(agent: Agent, seen: Observed, before: Mapping[str, Any], *, now: str) -> Object:
    """The whole status. Times of conditions that have not turned are kept from `before`."""
    pods = _pods(agent, seen)
    conditions = [_available(seen, pods), _progressing(agent, seen, pods), _registration(seen, pods)]
    status: Object = {
        "observedGeneration": agent.generation,
        "replicas": pods.all,
        "readyReplicas": pods.ready,
        "selector": ",".join(f"{name}={value}" for name, value in selector(agent.name).items()),
        "conditions": _dated(conditions, _conditions(before), agent.generation, now),
    }
    if seen.registered is None:
        # The registry does not say: what it said last is the best that is known.
        kept = {name: before[name] for name in ("endpoints", "tools") if name in before}
        return {**status, **kept}
    return {
        **status,
        "endpoints": sorted({replica.endpoint for replica in seen.registered})[:_MOST_LISTED],
        "tools": sorted({ability.name for replica in seen.registered for ability in replica.capabilities})[
            :_MOST_LISTED
        ],
    }


def refused_status(generation: int, refused: Refused, before: Mapping[str, Any], *, now: str) -> Object:
    """The status of an agent whose spec cannot be read: what runs stays, and what is wrong is told."""
    condition = Condition(AVAILABLE, "False", refused.reason, refused.message)
    others = [given for given in _conditions(before) if given["type"] != AVAILABLE]
    dated = _dated([condition], _conditions(before), generation, now)
    return {**before, "observedGeneration": generation, "conditions": [*dated, *others]}


def told_by(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, str, Literal["Normal", "Warning"]]]:
    """What people are told as Events: reason, message and kind for each condition that turned."""
    old = {given["type"]: (given["status"], given["reason"]) for given in _conditions(before)}
    return [
        (given["reason"], given["message"], "Normal" if given["reason"] in _GOOD else "Warning")
        for given in _conditions(after)
        if old.get(given["type"]) != (given["status"], given["reason"])
        and not (given["type"] not in old and given["reason"] in _BEGINNINGS)
    ]


def is_settled(status: Mapping[str, Any] | None, generation: int, desired: int | None) -> bool:
    """Whether a Deployment has all the pods it should, new ones only, and they are ready."""
    given = status or {}
    counts = {int(given.get(name) or 0) for name in ("replicas", "updatedReplicas", "readyReplicas")}
    return int(given.get("observedGeneration") or 0) >= generation and counts == {desired or 0}


def _pods(agent: Agent, seen: Observed) -> _Pods:
    status = seen.deployment or {}
    desired = agent.spec.replicas if seen.desired is None else seen.desired
    return _Pods(
        all=int(status.get("replicas") or 0),
        ready=int(status.get("readyReplicas") or 0),
        updated=int(status.get("updatedReplicas") or 0),
        desired=desired,
    )


def _available(seen: Observed, pods: _Pods) -> Condition:
    failure = _of_deployment(seen, "ReplicaFailure")
    if seen.refused is not None:
        return Condition(AVAILABLE, "False", seen.refused.reason, seen.refused.message[:_LONGEST_MESSAGE])
    if failure is not None and pods.ready < pods.desired:
        message = str(failure.get("message") or "no reason was given")
        reason = "QuotaExceeded" if "exceeded quota" in message else "PodsRefused"
        told = f"Ready pods: {pods.ready} of {pods.desired}. The cluster refuses more: {message}"
        return Condition(AVAILABLE, "True" if pods.ready else "False", reason, told[:_LONGEST_MESSAGE])
    if pods.desired == 0:
        return Condition(AVAILABLE, "False", "ScaledToZero", "No pod runs, because spec.replicas is 0.")
    told = f"Ready pods: {pods.ready} of {pods.desired}."
    if pods.ready:
        return Condition(AVAILABLE, "True", "PodsReady", told)
    if seen.trouble is not None:
        return Condition(AVAILABLE, "False", seen.trouble.reason, f"{told} {seen.trouble.message}")
    return Condition(AVAILABLE, "False", "NoReadyPods", told)


def _progressing(agent: Agent, seen: Observed, pods: _Pods) -> Condition:
    given = _of_deployment(seen, "Progressing")
    if given is not None and given.get("reason") == "ProgressDeadlineExceeded":
        why = seen.trouble.message if seen.trouble else given.get("message") or "no pod became ready in time"
        told = f"The rollout stands still: {why}"
        return Condition(PROGRESSING, "False", "Stalled", told[:_LONGEST_MESSAGE])
    if seen.deployment is not None and is_settled(seen.deployment, seen.generation, pods.desired):
        return Condition(
            PROGRESSING, "False", "Complete", f"Every pod runs generation {agent.generation} of this agent."
        )
    told = f"Pods up to date: {pods.updated} of {pods.desired}, ready: {pods.ready}."
    if seen.trouble is not None:
        told = f"{told} {seen.trouble.message}"
    return Condition(PROGRESSING, "True", "RollingOut", told)


def _registration(seen: Observed, pods: _Pods) -> Condition:
    if not seen.has_registry:
        return Condition(
            REGISTERED, "Unknown", "NoRegistry", "The operator has no registry: set MCP_MESH_REGISTRY_URL."
        )
    if seen.registered is None:
        told = f"The registry does not answer: {seen.registry_away}." if seen.registry_away else "Not asked yet."
        return Condition(REGISTERED, "Unknown", "RegistryAway" if seen.registry_away else "NotAsked", told)
    healthy = sum(replica.state == "healthy" for replica in seen.registered)
    told = f"Pods in the registry: {healthy}, ready: {pods.ready}."
    if healthy:
        return Condition(REGISTERED, "True", "Registered" if healthy >= pods.ready else "PartlyRegistered", told)
    if seen.registered:
        told = f"The registry hears none of {len(seen.registered)} registered pods."
        return Condition(REGISTERED, "False", "Degraded", told)
    return Condition(REGISTERED, "False", "NotRegistered", "No pod is in the registry.")


def _of_deployment(seen: Observed, kind: str) -> Object | None:
    """A condition of the Deployment's. A failure that is over is none."""
    for given in _conditions(seen.deployment or {}):
        if given.get("type") == kind and (kind != "ReplicaFailure" or given.get("status") == "True"):
            return given
    return None


def _conditions(status: Mapping[str, Any]) -> list[Object]:
    return cast("list[Object]", status.get("conditions") or [])


def _dated(conditions: Iterable[Condition], before: Iterable[Object], generation: int, now: str) -> list[Object]:
    since = {(given["type"], given["status"]): given["lastTransitionTime"] for given in before}
    return [
        {
            "type": condition.kind,
            "status": condition.status,
            "reason": condition.reason,
            "message": condition.message,
            "lastTransitionTime": since.get((condition.kind, condition.status), now),
            "observedGeneration": generation,
        }
        for condition in conditions
    ]

"""What a pod's own status says of how it is, in its own words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from app.gateway.launcher import State
from app.kubernetes import Object

# While a container waits for one of these, somebody has to change something, or wait for long.
_HOPELESS: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "CrashLoopBackOff",
    }
)
_LONGEST: Final = 600


@dataclass(frozen=True, slots=True)
class Seen:
    """How a pod is: its server's state, why it does not run, and how often its container was started anew."""

    state: State
    reason: str = ""
    restarts: int = 0
    started: datetime | None = None
    over: bool = False
    """It will never run again: another one has to take its place."""


def seen(pod: Object) -> Seen:
    """Reads what the kubelet and the scheduler wrote."""
    status: Object = pod.get("status") or {}
    phase = str(status.get("phase") or "Pending")
    container = _container(status)
    restarts = int(container.get("restartCount") or 0)
    if pod["metadata"].get("deletionTimestamp"):
        return Seen("starting", "its pod is being deleted", restarts, over=True)
    if phase in ("Failed", "Succeeded"):
        why = _text(status.get("reason"), status.get("message")) or ended(container) or f"its pod {phase.lower()}"
        return Seen("failed", why, restarts, over=True)
    state: Object = container.get("state") or {}
    if "running" in state and container.get("started"):
        return Seen("running", "", restarts, _time(state["running"].get("startedAt")))
    last = ended(container)
    waiting: Object = state.get("waiting") or {}
    why = str(waiting.get("reason") or "")
    if why in _HOPELESS:
        told = last if why == "CrashLoopBackOff" and last else str(waiting.get("message") or "")
        return Seen("failed", _text(why, told), restarts)
    if last:
        return Seen("starting", last, restarts)
    return Seen("starting", _unscheduled(status), restarts)


def ended(container: Object) -> str:
    """How its last life ended: `exit status 1: what it wrote last`; empty where it had none."""
    state: Object = container.get("state") or {}
    last: Object = container.get("lastState") or {}
    over: Object = state.get("terminated") or last.get("terminated") or {}
    if not over:
        return ""
    reason, code = str(over.get("reason") or ""), over.get("exitCode")
    lines = [line.strip() for line in str(over.get("message") or "").splitlines() if line.strip()]
    said = lines[-1] if lines else ""
    if reason == "OOMKilled":
        return _text("OOMKilled", "it used more memory than it may")
    if reason == "StartError" or code is None:
        return _text(reason, said)
    return _text(f"exit status {code}", said)


def told_by(event: Object) -> str:
    """A warning of the scheduler or the kubelet as a reason."""
    return _text(str(event.get("reason") or ""), str(event.get("message") or ""))


def _container(status: Object) -> Object:
    statuses = cast("Iterable[Object]", status.get("containerStatuses") or ())
    nothing: Object = {}
    return next(iter(statuses), nothing)


def _unscheduled(status: Object) -> str:
    for condition in cast("Iterable[Object]", status.get("conditions") or ()):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return _text(str(condition.get("reason") or "Unschedulable"), str(condition.get("message") or ""))
    return ""


def _text(reason: object, message: object) -> str:
    whole = ": ".join(str(part) for part in (reason, message) if part)
    return whole if len(whole) <= _LONGEST else f"{whole[:_LONGEST]} …"


def _time(text: object) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) else None

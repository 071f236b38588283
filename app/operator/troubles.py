"""Why pods do not become ready, in words that say what to do. Pure: reads what their status says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, cast

from app.kubernetes import Object

_LONGEST: Final = 500
_NOT_PULLED: Final = frozenset({"ImagePullBackOff", "ErrImagePull", "ErrImageNeverPull", "RegistryUnavailable"})
_NOT_CONFIGURED: Final = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})


class Trouble(NamedTuple):
    """One word and one sentence."""

    reason: str
    message: str


def trouble_of(pods: Iterable[Object]) -> Trouble | None:
    """The worst that is wrong with any of the pods; None when nothing is, or nothing is known yet."""
    found = [trouble for pod in pods if (trouble := _of(pod)) is not None]
    return min(found, key=lambda trouble: _ORDER.index(trouble.reason)) if found else None


# The first needs people the most.
_ORDER: Final = ("InvalidImage", "ImageNotPulled", "PodNotConfigured", "PodCrashes", "PodNotScheduled", "PodNotReady")


def _of(pod: Object) -> Trouble | None:
    status: Object = pod.get("status") or {}
    name = pod["metadata"]["name"]
    if pod["metadata"].get("deletionTimestamp") or _is_ready(status):
        return None
    for container in cast("list[Object]", status.get("containerStatuses") or ()):
        trouble = _of_container(name, container)
        if trouble is not None:
            return trouble
    for condition in cast("list[Object]", status.get("conditions") or ()):
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return Trouble("PodNotScheduled", f"No node takes the pod {name}: {_said(condition)}")
    return None


def _of_container(pod: str, container: Object) -> Trouble | None:
    state: Object = container.get("state") or {}
    waiting: Object = state.get("waiting") or {}
    reason, image = str(waiting.get("reason") or ""), container.get("image")
    if reason == "InvalidImageName":
        return Trouble("InvalidImage", f"The image {image!r} is no name of an image: correct spec.image.")
    if reason in _NOT_PULLED:
        told = f"The image {image!r} cannot be pulled by the pod {pod}: {_said(waiting)}"
        return Trouble("ImageNotPulled", told)
    if reason in _NOT_CONFIGURED:
        return Trouble("PodNotConfigured", f"The pod {pod} cannot start: {_said(waiting)}")
    before: Object = container.get("lastState") or {}
    ended: Object = before.get("terminated") or state.get("terminated") or {}
    if ended:
        word = str(ended.get("reason") or "Error")
        how = "it used more memory than its limit" if word == "OOMKilled" else f"exit status {ended.get('exitCode')}"
        restarts = int(container.get("restartCount") or 0)
        told = f"The pod {pod} ended ({how}) and was started again {restarts} times: kubectl logs --previous {pod}"
        return Trouble("PodCrashes", told)
    if "running" in state and not container.get("ready"):
        return Trouble("PodNotReady", f"The pod {pod} runs, but does not answer /ready with 200: kubectl logs {pod}")
    return None


def _is_ready(status: Mapping[str, Any]) -> bool:
    conditions = cast("list[Object]", status.get("conditions") or ())
    return any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)


def _said(given: Mapping[str, Any]) -> str:
    return str(given.get("message") or given.get("reason") or "no reason was given").strip()[:_LONGEST]

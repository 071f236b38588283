"""When an object has become what it should be. Each function answers None for ready, or what is still missing."""

import json
import re
from collections.abc import Callable
from typing import Any

from engine.plugins.kube.client import ApiError, Cluster, UnknownKind

WAIT_FOR = "pulumi.com/waitFor"
Object = dict[str, Any]


class NeverReady(Exception):
    """It cannot become ready any more: waiting longer is of no use."""


def missing(cluster: Cluster, thing: Object) -> str | None:
    """What an object lacks to be ready, or None."""
    annotations = thing["metadata"].get("annotations") or {}
    if WAIT_FOR in annotations:
        return _wanted(thing, annotations[WAIT_FOR])
    check = CHECKS.get((thing["apiVersion"], thing["kind"]))
    return check(cluster, thing) if check else None


def _wanted(thing: Object, text: str) -> str | None:
    """`condition=Ready`, `jsonpath={.status.phase}=Bound`, or a JSON list of such."""
    wishes: list[str] = json.loads(text) if text.startswith("[") else [text]
    for wish in wishes:
        if wish.startswith("condition="):
            name, _, wanted = wish.removeprefix("condition=").partition("=")
            found = condition(thing, name)
            if found is None or found["status"].lower() != (wanted or "True").lower():
                return f"the condition {name} is not {wanted or 'True'}: {_said(found)}"
        elif match := re.fullmatch(r"jsonpath=\{?([^}=]+)\}?(?:=(.*))?", wish):
            value: Any = thing
            for step in match[1].strip(".").split("."):
                value = value.get(step) if isinstance(value, dict) else None
            if value is None or (match[2] is not None and str(value) != match[2]):
                return f"{match[1]} is {value}"
        else:
            raise NeverReady(f"{WAIT_FOR}: {wish!r} is understood by nobody")
    return None


def condition(thing: Object, name: str) -> Object | None:
    # A fresh CustomResourceDefinition has `conditions: null`.
    for found in (thing.get("status") or {}).get("conditions") or ():
        if found["type"] == name:
            return found
    return None


def _said(found: Object | None) -> str:
    return "nothing is said about it yet" if found is None else f"{found.get('reason')}: {found.get('message')}"


def _deployment(cluster: Cluster, thing: Object) -> str | None:
    wanted, status = thing["spec"].get("replicas", 1), thing.get("status") or {}
    progressing = condition(thing, "Progressing")
    if _outdated(thing):
        return "the controller has not seen it yet"
    if progressing and progressing.get("reason") == "ProgressDeadlineExceeded":
        raise NeverReady(f"{progressing['message']}. {_pods(cluster, thing)}")
    ready = status.get("updatedReplicas", 0) >= wanted and status.get("availableReplicas", 0) >= wanted
    if ready and status.get("replicas", 0) == status.get("updatedReplicas", 0):
        return None
    return f"{status.get('availableReplicas', 0)} of {wanted} pods are available. {_pods(cluster, thing)}"


def _stateful_set(cluster: Cluster, thing: Object) -> str | None:
    spec, status = thing["spec"], thing.get("status") or {}
    wanted = spec.get("replicas", 1)
    if _outdated(thing):
        return "the controller has not seen it yet"
    by_hand = (spec.get("updateStrategy") or {}).get("type") == "OnDelete"
    updated = by_hand or status.get("updateRevision") == status.get("currentRevision") or not wanted
    if updated and status.get("readyReplicas", 0) == wanted == status.get("replicas", 0):
        return None
    return f"{status.get('readyReplicas', 0)} of {wanted} pods are ready. {_pods(cluster, thing)}"


def _daemon_set(cluster: Cluster, thing: Object) -> str | None:
    status = thing.get("status") or {}
    wanted = status.get("desiredNumberScheduled", 0)
    if _outdated(thing):
        return "the controller has not seen it yet"
    by_hand = (thing["spec"].get("updateStrategy") or {}).get("type") == "OnDelete"
    updated = by_hand or status.get("updatedNumberScheduled", 0) == wanted
    if updated and status.get("numberReady", 0) == wanted:
        return None
    return f"{status.get('numberReady', 0)} of {wanted} pods are ready. {_pods(cluster, thing)}"


def _job(cluster: Cluster, thing: Object) -> str | None:
    for name in ("Failed", "FailureTarget"):
        failed = condition(thing, name)
        if failed and failed["status"] == "True":
            raise NeverReady(f"the job failed: {_said(failed)}")
    complete = condition(thing, "Complete")
    if complete and complete["status"] == "True":
        return None
    return f"the job is not complete. {_pods(cluster, thing)}"


def _pod(_: Cluster, thing: Object) -> str | None:
    if (thing.get("status") or {}).get("phase") == "Succeeded":
        return None
    ready = condition(thing, "Ready")
    return None if ready and ready["status"] == "True" else f"the pod is not ready: {_trouble(thing) or _said(ready)}"


def _service(cluster: Cluster, thing: Object) -> str | None:
    spec = thing["spec"]
    if spec.get("type") == "ExternalName":
        return None
    if spec.get("type") == "LoadBalancer" and not _addresses(thing):
        return "it has no external address"
    if not spec.get("selector") or spec.get("clusterIP") == "None":
        return None
    metadata = thing["metadata"]
    selector = f"kubernetes.io/service-name={metadata['name']}"
    slices = cluster.select("discovery.k8s.io/v1", "EndpointSlice", metadata["namespace"], selector)
    ends = [end for found in slices for end in found.get("endpoints") or ()]
    return None if any((end.get("conditions") or {}).get("ready") for end in ends) else "no ready pod is behind it"


def _ingress(_: Cluster, thing: Object) -> str | None:
    return None if _addresses(thing) else "no controller has given it an address"


def _claim(cluster: Cluster, thing: Object) -> str | None:
    if (thing.get("status") or {}).get("phase") == "Bound":
        return None
    name = thing["spec"].get("storageClassName")
    found = cluster.get("storage.k8s.io/v1", "StorageClass", None, name) if name else None
    if found and found.get("volumeBindingMode") == "WaitForFirstConsumer":
        return None
    return "the claim is not bound"


def _definition(_: Cluster, thing: Object) -> str | None:
    established = condition(thing, "Established")
    return None if established and established["status"] == "True" else "the definition is not established"


def _namespace(_: Cluster, thing: Object) -> str | None:
    return None if (thing.get("status") or {}).get("phase") == "Active" else "the namespace is not active"


def _quota(_: Cluster, thing: Object) -> str | None:
    return None if (thing.get("status") or {}).get("hard") == thing["spec"].get("hard") else "the quota is not in force"


CHECKS: dict[tuple[str, str], Callable[[Cluster, Object], str | None]] = {
    ("apps/v1", "Deployment"): _deployment,
    ("apps/v1", "StatefulSet"): _stateful_set,
    ("apps/v1", "DaemonSet"): _daemon_set,
    ("batch/v1", "Job"): _job,
    ("v1", "Pod"): _pod,
    ("v1", "Service"): _service,
    ("v1", "PersistentVolumeClaim"): _claim,
    ("v1", "Namespace"): _namespace,
    ("v1", "ResourceQuota"): _quota,
    ("networking.k8s.io/v1", "Ingress"): _ingress,
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): _definition,
}


def _outdated(thing: Object) -> bool:
    return (thing.get("status") or {}).get("observedGeneration", 0) < thing["metadata"].get("generation", 0)


def _addresses(thing: Object) -> list[Object]:
    return ((thing.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []


def _pods(cluster: Cluster, thing: Object) -> str:
    """What is the matter with the pods of a workload, for the person who reads the failure."""
    labels = ((thing["spec"].get("selector") or {}).get("matchLabels")) or {}
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    try:
        pods = cluster.select("v1", "Pod", thing["metadata"].get("namespace"), selector)
    except (ApiError, UnknownKind):
        return ""
    troubles = sorted({found for pod in pods if (found := _trouble(pod))})
    failure = condition(thing, "ReplicaFailure")
    if failure and failure["status"] == "True":
        troubles.append(str(failure.get("message")))
    return "; ".join(troubles)


def _trouble(pod: Object) -> str | None:
    status = pod.get("status") or {}
    for container in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        waiting = (container.get("state") or {}).get("waiting")
        if waiting:
            return f"{pod['metadata']['name']}: {waiting.get('reason')} {waiting.get('message', '')}".strip()
        ended = (container.get("state") or {}).get("terminated")
        if ended and ended.get("exitCode"):
            return f"{pod['metadata']['name']}: ended with {ended['exitCode']}"
    scheduled = condition(pod, "PodScheduled")
    if scheduled and scheduled["status"] == "False":
        return f"{pod['metadata']['name']}: {scheduled.get('message')}"
    return None

"""Rules about one workload at a time: how it scales, stops, is limited, probed, confined and pulled."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from infra.annotations import REQUEST_BUDGET
from infra.policy.view import UNKNOWN, ResourceView, Violation, at, environment, items, mapping, number, of_kind, text
from infra.policy.workloads import Container, Workload, workloads

_DEFAULT_GRACE_SECONDS = 30
_SLEEP = re.compile(r"\bsleep\s+(\d+)")
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")


def autoscaled_workloads_name_no_replicas(resources: Sequence[ResourceView]) -> Iterator[Violation]:
    known = {
        (found.namespace, found.resource.kind, found.resource.object_name): found for found in workloads(resources)
    }
    for autoscaler in of_kind(resources, "HorizontalPodAutoscaler"):
        target = mapping(autoscaler.props, "spec.scaleTargetRef")
        kind, name = text(target, "kind"), text(target, "name")
        workload = known.get((autoscaler.namespace, kind, name))
        if workload is None:
            if name:
                yield Violation(message=f"{autoscaler} scales {kind} {name}, which is not there", urn=autoscaler.urn)
        elif at(workload.resource.props, "spec.replicas") is not None:
            yield Violation(
                message=f"{workload} names its replicas, and every update would undo what {autoscaler} decided: "
                "leave replicas out",
                urn=workload.resource.urn,
            )


def pods_outlive_their_drain(resources: Sequence[ResourceView]) -> Iterator[Violation]:
    for workload in workloads(resources):
        drain = max((_drain(container) for container in workload.containers), default=0)
        budget = int(workload.annotations.get(REQUEST_BUDGET, 0))
        grace = number(workload.pod, "terminationGracePeriodSeconds", _DEFAULT_GRACE_SECONDS)
        if (drain or budget) and grace <= drain + budget:
            yield Violation(
                message=f"{workload} is killed after {grace} s, but drains for {drain} s and gives requests "
                f"{budget} s: its terminationGracePeriodSeconds must be above {drain + budget}",
                urn=workload.resource.urn,
            )


def _drain(container: Container) -> int:
    """Seconds that a container sleeps before it is told to stop."""
    stop = mapping(container.spec, "lifecycle.preStop")
    command = " ".join(str(word) for word in items(stop, "exec.command"))
    spoken = _SLEEP.search(command)
    return number(stop, "sleep.seconds") or (int(spoken[1]) if spoken else 0)


def containers_have_limits(resources: Sequence[ResourceView]) -> Iterator[Violation]:
    for workload in workloads(resources):
        for container in workload.all_containers:
            missing = [
                f"{group}.{resource}"
                for group in ("requests", "limits")
                for resource in ("cpu", "memory")
                if not at(container.spec, f"resources.{group}.{resource}")
            ]
            if missing:
                yield _about(workload, container, f"names no {', '.join(missing)} under resources: name them")


def containers_are_probed(resources: Sequence[ResourceView]) -> Iterator[Violation]:
    for workload in workloads(resources):
        for container in workload.containers if workload.runs_for_ever else ():
            missing = [kind for kind in ("livenessProbe", "readinessProbe") if not mapping(container.spec, kind)]
            if missing:
                yield _about(workload, container, f"has no {' and no '.join(missing)}: add one")


def pods_are_restricted(resources: Sequence[ResourceView]) -> Iterator[Violation]:
    for workload in workloads(resources):
        faults = list(_pod_faults(workload.pod))
        if faults:
            yield Violation(message=f"{workload}: {'; '.join(faults)}", urn=workload.resource.urn)
        for container in workload.all_containers:
            faults = list(_container_faults(container.spec, workload.pod))
            if faults:
                yield _about(workload, container, "; ".join(faults))


def _pod_faults(pod: Any) -> Iterator[str]:
    for setting in ("hostNetwork", "hostPID", "hostIPC"):
        if at(pod, setting):
            yield f"{setting} must not be set"
    for volume in items(pod, "volumes"):
        if mapping(volume, "hostPath"):
            yield f"volume {text(volume, 'name')} is a path of the node: use a claim or an emptyDir"


def _container_faults(container: Any, pod: Any) -> Iterator[str]:
    own, shared = mapping(container, "securityContext"), mapping(pod, "securityContext")
    if own.get("privileged"):
        yield "securityContext.privileged must not be set"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "securityContext.allowPrivilegeEscalation must be false"
    if own.get("readOnlyRootFilesystem") is not True:
        yield "securityContext.readOnlyRootFilesystem must be true: mount an emptyDir where it writes"
    if own.get("runAsNonRoot", shared.get("runAsNonRoot")) is not True:
        yield "securityContext.runAsNonRoot must be true"
    if own.get("runAsUser", shared.get("runAsUser")) == 0:
        yield "securityContext.runAsUser must not be 0"
    if "ALL" not in items(own, "capabilities.drop"):
        yield "securityContext.capabilities.drop must hold ALL"
    if set(items(own, "capabilities.add")) - {"NET_BIND_SERVICE"}:
        yield "securityContext.capabilities.add may hold NET_BIND_SERVICE only"
    profile = text(own, "seccompProfile.type") or text(shared, "seccompProfile.type")
    if profile not in ("RuntimeDefault", "Localhost"):
        yield "securityContext.seccompProfile.type must be RuntimeDefault"


def images_are_pinned(resources: Sequence[ResourceView]) -> Iterator[Violation]:
    if environment(resources) == "dev":
        return
    for workload in workloads(resources):
        for container in workload.all_containers:
            image = at(container.spec, "image")
            if image is not UNKNOWN and not _DIGEST.search(str(image)):
                yield _about(workload, container, f"runs {image}, which may change: name it by digest, @sha256:…")


def _about(workload: Workload, container: Container, fault: str) -> Violation:
    return Violation(message=f"{workload}: {container.role} {container.name}: {fault}", urn=workload.resource.urn)

"""The workloads of a stack, whatever kind they are: what their pods are called, made of and found by."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from infra.policy.view import ResourceView, items, mapping, of_kind, text

_TEMPLATES = {
    "Deployment": "spec.template",
    "StatefulSet": "spec.template",
    "DaemonSet": "spec.template",
    "Job": "spec.template",
    "CronJob": "spec.jobTemplate.spec.template",
}
_LONG_RUNNING = {"Deployment", "StatefulSet", "DaemonSet"}


@dataclass(frozen=True, kw_only=True)
class Container:
    role: Literal["container", "init container"]
    spec: Mapping[str, Any]

    @property
    def name(self) -> str:
        return text(self.spec, "name")

    @property
    def ports(self) -> dict[str, int]:
        """The declared ports by name."""
        return {text(port, "name"): int(port["containerPort"]) for port in items(self.spec, "ports")}


@dataclass(frozen=True, kw_only=True)
class Workload:
    resource: ResourceView
    labels: Mapping[str, Any]
    annotations: Mapping[str, Any]
    pod: Mapping[str, Any]

    @property
    def namespace(self) -> str:
        return self.resource.namespace

    @property
    def runs_for_ever(self) -> bool:
        """Whether its pods serve until they are stopped, rather than finish by themselves."""
        return self.resource.kind in _LONG_RUNNING

    @property
    def selector(self) -> dict[str, Any]:
        return mapping(self.resource.props, "spec.selector.matchLabels")

    @property
    def containers(self) -> list[Container]:
        return [Container(role="container", spec=spec) for spec in items(self.pod, "containers")]

    @property
    def all_containers(self) -> list[Container]:
        first = [Container(role="init container", spec=spec) for spec in items(self.pod, "initContainers")]
        return first + self.containers

    @property
    def ports(self) -> dict[str, int]:
        return {name: number for container in self.containers for name, number in container.ports.items()}

    def __str__(self) -> str:
        return str(self.resource)


def workloads(resources: Sequence[ResourceView]) -> Iterator[Workload]:
    """Everything that makes pods."""
    for resource in of_kind(resources, *_TEMPLATES):
        template = mapping(resource.props, _TEMPLATES[resource.kind])
        yield Workload(
            resource=resource,
            labels=mapping(template, "metadata.labels"),
            annotations=mapping(template, "metadata.annotations"),
            pod=mapping(template, "spec"),
        )


def selects(selector: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    """Whether a set of labels finds pods with these labels."""
    return all(labels.get(key) == value for key, value in selector.items())


def selected(selector: Mapping[str, Any], namespace: str, among: Sequence[Workload]) -> list[Workload]:
    """The workloads of a namespace whose pods these labels find."""
    return [workload for workload in among if workload.namespace == namespace and selects(selector, workload.labels)]

"""Rules about what must fit together: selectors and pods, ports and their names, edges and network policies."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infra.annotations import EDGE
from infra.policy.view import ResourceView, Violation, at, items, mapping, of_kind, text
from infra.policy.workloads import Workload, selected, workloads

NETWORK = "slipway:network:Network"
# Labels that change from one release to the next; a selector is for the life of the workload.
_CHANGING = {"app.kubernetes.io/version", "helm.sh/chart", "pod-template-hash", "version", "tag", "release", "track"}


def selectors_are_immutable_sets(resources: Sequence[ResourceView]) -> Iterator[Violation]:
    for workload in workloads(resources):
        if workload.runs_for_ever:
            yield from _selector_faults(workload)
    for service in of_kind(resources, "Service"):
        yield from _changing(service, mapping(service.props, "spec.selector"))
    for budget in of_kind(resources, "PodDisruptionBudget"):
        yield from _changing(budget, mapping(budget.props, "spec.selector.matchLabels"))


def selectors_find_one_workload(resources: Sequence[ResourceView]) -> Iterator[Violation]:
    """A Service or a budget that finds none is dead, one that finds two mixes them."""
    running = list(workloads(resources))
    finders = [(found, mapping(found.props, "spec.selector")) for found in of_kind(resources, "Service")]
    finders += [
        (found, mapping(found.props, "spec.selector.matchLabels"))
        for found in of_kind(resources, "PodDisruptionBudget", "Deployment", "StatefulSet", "DaemonSet")
    ]
    for finder, selector in finders:
        if not selector:
            continue  # a Service without a selector is somebody else's to fill
        found = selected(selector, finder.namespace, running)
        if len(found) != 1:
            names = " and ".join(str(workload) for workload in found) or "no pods"
            yield Violation(message=f"{finder} selects {names}: its labels must find exactly one", urn=finder.urn)


def _selector_faults(workload: Workload) -> Iterator[Violation]:
    if not workload.selector:
        yield Violation(message=f"{workload} selects by no labels: give it matchLabels", urn=workload.resource.urn)
    yield from _changing(workload.resource, workload.selector)


def _changing(resource: ResourceView, selector: Mapping[str, Any]) -> Iterator[Violation]:
    changing = sorted(_CHANGING & selector.keys())
    if changing:
        yield Violation(
            message=f"{resource} selects by {', '.join(changing)}, which changes with a release: take it out",
            urn=resource.urn,
        )


def named_ports_are_served(resources: Sequence[ResourceView]) -> Iterator[Violation]:
    running, services = list(workloads(resources)), list(of_kind(resources, "Service"))
    for service in services:
        for workload in selected(mapping(service.props, "spec.selector"), service.namespace, running):
            yield from _unserved_targets(service, workload)
    for workload in running:
        yield from _unserved_probes(workload)
    for ingress in of_kind(resources, "Ingress"):
        yield from _unserved_backends(ingress, services)
    for monitor in of_kind(resources, "ServiceMonitor"):
        yield from _unserved_endpoints(monitor, services)


def _unserved_targets(service: ResourceView, workload: Workload) -> Iterator[Violation]:
    for port in items(service.props, "spec.ports"):
        target = port.get("targetPort", port.get("port"))
        served = workload.ports.keys() if isinstance(target, str) else workload.ports.values()
        if target not in served:
            yield Violation(
                message=f"{service} sends to port {target}, which no container of {workload} has "
                f"(it has {_listed(workload.ports)})",
                urn=service.urn,
            )


def _unserved_probes(workload: Workload) -> Iterator[Violation]:
    for container in workload.containers:
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            for action in ("httpGet", "tcpSocket", "grpc"):
                port = at(container.spec, f"{kind}.{action}.port")
                if isinstance(port, str) and port not in container.ports:
                    yield Violation(
                        message=f"{workload}: container {container.name}: {kind} asks port {port}, which it does not "
                        f"have (it has {_listed(container.ports)})",
                        urn=workload.resource.urn,
                    )


def _unserved_backends(ingress: ResourceView, services: Sequence[ResourceView]) -> Iterator[Violation]:
    paths = [path for rule in items(ingress.props, "spec.rules") for path in items(rule, "http.paths")]
    backends = [path.get("backend") for path in paths] + [at(ingress.props, "spec.defaultBackend")]
    for backend in backends:
        name = text(backend, "service.name")
        service = next(
            (found for found in services if (found.namespace, found.object_name) == (ingress.namespace, name)), None
        )
        if not name:
            continue
        if service is None:
            yield Violation(message=f"{ingress} sends to Service {name}, which is not there", urn=ingress.urn)
            continue
        ports = {text(port, "name"): port.get("port") for port in items(service.props, "spec.ports")}
        wanted = at(backend, "service.port.name") or at(backend, "service.port.number")
        if wanted not in (*ports.keys(), *ports.values()):
            yield Violation(
                message=f"{ingress} sends to port {wanted} of {service}, which has {_listed(ports)}", urn=ingress.urn
            )


def _unserved_endpoints(monitor: ResourceView, services: Sequence[ResourceView]) -> Iterator[Violation]:
    labels = mapping(monitor.props, "spec.selector.matchLabels").items()
    watched = [service for service in services if labels <= mapping(service.props, "metadata.labels").items()]
    names = {text(port, "name") for service in watched for port in items(service.props, "spec.ports")}
    for endpoint in items(monitor.props, "spec.endpoints"):
        port = text(endpoint, "port")
        if port and port not in names:
            yield Violation(
                message=f"{monitor} scrapes port {port}, which none of its {len(watched)} Services has", urn=monitor.urn
            )


def _listed(ports: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {number}".strip() for name, number in sorted(ports.items())) or "none"


def edges_and_policies_agree(resources: Sequence[ResourceView]) -> Iterator[Violation]:
    """Every declared edge is allowed by its policies, on its ports alone; every policy belongs to an edge."""
    declared = [edge for found in resources if found.type == NETWORK for edge in items(found.props, "edges")]
    wanted = {name: edge for edge in declared for name in items(edge, "policies")}
    policies = {policy.object_name: policy for policy in of_kind(resources, "NetworkPolicy")}
    for name, edge in wanted.items():
        if name not in policies:
            yield Violation(message=f"edge {text(edge, 'name')} has no NetworkPolicy {name}, so it is denied")
    for name, policy in policies.items():
        rules = items(policy.props, "spec.ingress") + items(policy.props, "spec.egress")
        edge = wanted.get(name)
        if edge is None and rules:
            yield Violation(message=f"{policy} allows what no edge declares: declare it, or remove it", urn=policy.urn)
        elif edge is not None:
            yield from _edge_faults(policy, rules, edge)
    if declared and not any(_denies_everything(policy) for policy in policies.values()):
        yield Violation(message="no NetworkPolicy denies what no edge allows: add one for all pods and both directions")


def _edge_faults(policy: ResourceView, rules: Sequence[Any], edge: Mapping[str, Any]) -> Iterator[Violation]:
    opened = sorted(
        f"{port.get('port')}/{text(port, 'protocol') or 'TCP'}" for rule in rules for port in items(rule, "ports")
    )
    if opened != sorted(items(edge, "ports")):
        yield Violation(
            message=f"{policy} opens {', '.join(opened) or 'every port'}, but edge {text(edge, 'name')} uses "
            f"{', '.join(items(edge, 'ports'))}",
            urn=policy.urn,
        )
    if mapping(policy.props, "metadata.annotations").get(EDGE) != edge.get("name"):
        yield Violation(message=f"{policy} does not say its edge in the annotation {EDGE}", urn=policy.urn)


def _denies_everything(policy: ResourceView) -> bool:
    spec = mapping(policy.props, "spec")
    both = {*items(spec, "policyTypes")} == {"Ingress", "Egress"}
    return both and not (mapping(spec, "podSelector") or items(spec, "ingress") or items(spec, "egress"))


def policies_open_ports_that_pods_have(resources: Sequence[ResourceView]) -> Iterator[Violation]:
    running = list(workloads(resources))
    for policy in of_kind(resources, "NetworkPolicy"):
        selector = mapping(policy.props, "spec.podSelector.matchLabels")
        served = {number for found in selected(selector, policy.namespace, running) for number in found.ports.values()}
        opened = {port.get("port") for rule in items(policy.props, "spec.ingress") for port in items(rule, "ports")}
        for port in sorted(opened - served if selector and served else ()):
            yield Violation(
                message=f"{policy} opens port {port}, which its pods do not have (they have {sorted(served)})",
                urn=policy.urn,
            )

"""The Services of one MCP server: for callers in the cluster, for who wants every pod, for callers outside."""

from collections.abc import Mapping

import pulumi
from pulumi_kubernetes.core.v1 import (
    ClientIPConfigArgs,
    Service,
    ServicePortArgs,
    ServiceSpecArgs,
    SessionAffinityConfigArgs,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra import naming, ports
from infra.component import Component, object_name
from infra.ports import Port


def cluster_service(
    owner: Component,
    *,
    namespace: pulumi.Input[str],
    component: str,
    port: Port,
    affinity_seconds: int | None,
    annotations: Mapping[str, str] | None = None,
) -> pulumi.Output[str]:
    """The stable address inside the cluster, on port 80 whatever the container's own port."""
    affinity, affinity_config = _affinity(affinity_seconds)
    return _service(
        owner,
        "service",
        name=owner.name,
        namespace=namespace,
        component=component,
        annotations=annotations,
        spec=ServiceSpecArgs(
            type="ClusterIP",
            selector=naming.selector(owner.name, component),
            ports=[_port(ports.SERVICE.number, port)],
            session_affinity=affinity,
            session_affinity_config=affinity_config,
        ),
    )


def headless_service(
    owner: Component, *, namespace: pulumi.Input[str], component: str, port: Port
) -> pulumi.Output[str]:
    """A DNS name that lists the ready pods, for callers that choose among them. They connect to the pods' own port."""
    return _service(
        owner,
        "headless",
        name=naming.child(owner.name, "headless"),
        namespace=namespace,
        component=component,
        spec=ServiceSpecArgs(
            cluster_ip="None",
            selector=naming.selector(owner.name, component),
            ports=[_port(port.number, port)],
        ),
    )


def node_port_service(
    owner: Component,
    *,
    namespace: pulumi.Input[str],
    component: str,
    port: Port,
    node_port: int,
    affinity_seconds: int | None,
) -> pulumi.Output[str]:
    """The server on one port of every node, for clients outside a cluster without an ingress controller."""
    affinity, affinity_config = _affinity(affinity_seconds)
    return _service(
        owner,
        "nodeport",
        name=naming.child(owner.name, "nodeport"),
        namespace=namespace,
        component=component,
        spec=ServiceSpecArgs(
            type="NodePort",
            selector=naming.selector(owner.name, component),
            ports=[_port(port.number, port, node_port=node_port)],
            session_affinity=affinity,
            session_affinity_config=affinity_config,
        ),
    )


def _service(
    owner: Component,
    kind: str,
    *,
    name: str,
    namespace: pulumi.Input[str],
    component: str,
    spec: ServiceSpecArgs,
    annotations: Mapping[str, str] | None = None,
) -> pulumi.Output[str]:
    service = Service(
        naming.child(owner.name, kind),
        metadata=ObjectMetaArgs(
            name=name,
            namespace=namespace,
            labels=naming.labels(owner.name, component),
            annotations=dict(annotations) if annotations else None,
        ),
        spec=spec,
        opts=owner.child_options(),
    )
    return object_name(service.metadata)


def _port(number: int, target: Port, *, node_port: int | None = None) -> ServicePortArgs:
    return ServicePortArgs(
        name=target.name, port=number, target_port=target.name, node_port=node_port, protocol=target.protocol
    )


def _affinity(seconds: int | None) -> tuple[str, SessionAffinityConfigArgs | None]:
    """An optimisation only: any replica can serve any session."""
    if seconds is None:
        return "None", None
    return "ClientIP", SessionAffinityConfigArgs(client_ip=ClientIPConfigArgs(timeout_seconds=seconds))

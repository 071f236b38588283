"""A master, its replicas and the Sentinels that watch them: two StatefulSets whose pods know each other by name."""

import pulumi
from pulumi_kubernetes.apps.v1 import StatefulSet, StatefulSetSpecArgs
from pulumi_kubernetes.core.v1 import (
    EmptyDirVolumeSourceArgs,
    PodTemplateSpecArgs,
    Service,
    ServicePortArgs,
    ServiceSpecArgs,
    VolumeArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs

from infra import naming
from infra.component import Component, object_name
from infra.components._workloads import claim_retention, claim_template, disruption_budget
from infra.components.redis import _nodes, _pods
from infra.components.redis._pods import Parts
from infra.ports import REDIS, SENTINEL, Port
from infra.storage import Storage

REDIS_COMPONENT = "redis"
SENTINEL_COMPONENT = "sentinel"
# What a Sentinel remembers is a page of text: after an outage of everything it knows who was master last.
_MEMORY_SIZE = "1Gi"


def make(owner: Component, parts: Parts) -> pulumi.Output[str]:
    """Both sets; returns the name of the Sentinels' Service, known once they are up."""
    args, name = parts.args, owner.name
    sentinel = _nodes.sentinel_set(name)
    redis_service = _headless(owner, _nodes.headless(name), name, REDIS_COMPONENT, args.namespace, REDIS)
    sentinel_service = _headless(owner, sentinel, sentinel, SENTINEL_COMPONENT, args.namespace, SENTINEL)
    scratch = None if args.persistence else VolumeArgs(name="data", empty_dir=EmptyDirVolumeSourceArgs())
    redis_set = _set(
        owner,
        parts,
        name,
        REDIS_COMPONENT,
        service=redis_service,
        template=_pods.redis_template(
            name, parts, own_address=_own_address(_nodes.headless(name), args.namespace, REDIS), data=scratch
        ),
        storage=args.storage if args.persistence else None,
    )
    _set(
        owner,
        parts,
        sentinel,
        SENTINEL_COMPONENT,
        service=sentinel_service,
        template=_pods.sentinel_template(
            sentinel, parts, own_address=_own_address(sentinel, args.namespace, SENTINEL), data=scratch
        ),
        storage=Storage(size=_MEMORY_SIZE, storage_class=args.storage.storage_class) if args.persistence else None,
        after=[redis_set],
    )
    disruption_budget(owner, sentinel, SENTINEL_COMPONENT, args.namespace)
    return sentinel_service


def _set(
    owner: Component,
    parts: Parts,
    name: str,
    component: str,
    *,
    service: pulumi.Input[str],
    template: PodTemplateSpecArgs,
    storage: Storage | None,
    after: list[pulumi.Resource] | None = None,
) -> StatefulSet:
    args = parts.args
    return StatefulSet(
        naming.child(name, "statefulset"),
        metadata=ObjectMetaArgs(name=name, namespace=args.namespace, labels=naming.labels(name, component)),
        spec=StatefulSetSpecArgs(
            replicas=args.replicas,
            service_name=service,
            # After an outage each waits for the others: one at a time would be a deadlock.
            pod_management_policy="Parallel",
            selector=LabelSelectorArgs(match_labels=naming.selector(name, component)),
            template=template,
            volume_claim_templates=[claim_template("data", name, component, storage)] if storage is not None else None,
            persistent_volume_claim_retention_policy=claim_retention(protect=args.protect)
            if storage is not None
            else None,
        ),
        opts=owner.stateful_options(protect=args.protect and storage is not None, depends_on=after),
    )


def _headless(
    owner: Component, service_name: str, set_name: str, component: str, namespace: pulumi.Input[str], port: Port
) -> pulumi.Output[str]:
    service = Service(
        naming.child(service_name, "service"),
        metadata=ObjectMetaArgs(name=service_name, namespace=namespace, labels=naming.labels(set_name, component)),
        spec=ServiceSpecArgs(
            cluster_ip="None",
            selector=naming.selector(set_name, component),
            # A replica finds its master, and a Sentinel its peers, before any of them is ready.
            publish_not_ready_addresses=True,
            ports=[ServicePortArgs(name=port.name, port=port.number, target_port=port.name)],
        ),
        opts=owner.child_options(),
    )
    return object_name(service.metadata)


def _own_address(service: str, namespace: pulumi.Input[str], port: Port) -> pulumi.Output[str]:
    """The stable DNS name of the pod that reads it; Kubernetes puts the pod's name in."""
    return pulumi.Output.from_input(namespace).apply(
        lambda known: f"$(POD_NAME).{naming.service_host(service, known)}:{port.number}"
    )
